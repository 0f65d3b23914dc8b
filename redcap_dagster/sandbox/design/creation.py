"""New projects by the super token, and the settings of a project."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Final

from redcap_dagster.project import (
    Arm,
    Event,
    Field,
    FormEvent,
    Instrument,
    ProjectInfo,
    REDCapProject,
)
from redcap_dagster.project.rows import row_value
from redcap_dagster.project.xml.reader import OdmFile, parse_odm
from redcap_dagster.sandbox.calls.call import (
    Answerer,
    Call,
    Creator,
    Reply,
    count_reply,
    text_reply,
)
from redcap_dagster.sandbox.calls.log import log_manage
from redcap_dagster.sandbox.calls.required_rights import require_to_change
from redcap_dagster.sandbox.protocol.import_data import Row, read_rows
from redcap_dagster.sandbox.protocol.parameters import FORMATS, Parameters, RequestError
from redcap_dagster.sandbox.records.files import keep_embedded
from redcap_dagster.sandbox.store.loading import cells_of_points
from redcap_dagster.sandbox.store.store import Store

_EVENT: Final = Event("Event 1", 1, "event_1_arm_1", event_id=1)
# What a new project has; the label of the form is a guess.
_NEW: Final = REDCapProject(
    fields=(Field("record_id", "my_first_instrument", field_label="Record ID"),),
    instruments=(Instrument("my_first_instrument", "My First Instrument"),),
)
_NOT_SETTINGS: Final = frozenset(
    {
        "project_id",
        "creation_time",
        "production_time",
        "in_production",
        "has_repeating_instruments_or_events",
        "ddp_enabled",
        "external_modules",
    }
)


# -- creation -------------------------------------------------------------------------------------


def create_project(store: Store, parameters: Parameters) -> Reply:
    """Answer ``content=project``, ``action=import``: the token of the new project, plain text."""
    format_ = parameters.choice("format", FORMATS, "xml")
    row = _settings(parameters.text("data"), format_)
    title, purpose = row.get("project_title", ""), row.get("purpose", "")
    if not title or not purpose:
        # Known is that both are required; the text is a guess.
        raise RequestError(400, "You must provide values for 'project_title' and 'purpose'.")
    if purpose == "1" and not row.get("purpose_other"):
        raise RequestError(
            400,
            "You must provide some text for 'purpose_other' since you specified 'purpose' as '1' "
            "(Other).",
        )
    odm = OdmFile(_NEW, ())
    if xml := parameters.text("odm"):
        try:
            odm = parse_odm(xml.encode(errors="replace"))
        except ValueError as error:
            # Its text holds nothing of the contents.
            raise RequestError(400, f"The ODM file: {error}") from None
    structure, _ = _with_settings(replace(odm.project, version=store.version), row)
    cells = list(cells_of_points(structure, odm.points))
    token = store.add(structure)
    if (project := store.find(token)) is not None:
        store.save(project, cells)
        keep_embedded(store, project, odm.points)
    return text_reply(token, parameters.choice("returnFormat", FORMATS, format_))


CREATORS: Final[Mapping[tuple[str, str], Creator]] = {("project", "import"): create_project}


# -- settings -------------------------------------------------------------------------------------


def import_settings(call: Call) -> Reply:
    """Answer ``content=project_settings``: the number of values that were accepted."""
    require_to_change(call, "design")
    before = call.project.structure
    row = _settings(call.parameters.text("data"), call.format)
    structure, count = _with_settings(before, row)
    call.store.change(call.project.id, structure)
    if structure.is_longitudinal and not before.is_longitudinal:
        with call.store.connection as database:
            moved = (_EVENT.unique_event_name, call.project.id)
            database.execute("update row set event = ? where project = ?", moved)
            database.execute(
                "update access_group set arm = 1 where project = ?", (call.project.id,)
            )
    log_manage(call, "Import project settings (API)")  # guess
    return count_reply(call, count)


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    ("project_settings", "import"): import_settings
}


def _settings(data: str, format_: str) -> Row:
    """Read the one row of settings: an object in JSON or a list with one, and so in XML.

    Raises:
        RequestError: It cannot be read, or is not one row.
    """
    if format_ == "json" and data.lstrip().startswith("{"):
        data = f"[{data}]"
    if format_ == "xml":
        data = re.sub(r"^\s*<\?xml[^>]*\?>", "", data)
        if data.lstrip().startswith("<item>"):
            data = f"<records>{data}</records>"
    rows = read_rows(data, format_)
    if len(rows) != 1:
        raise RequestError(400, "The data is not in the specified format.")
    return rows[0]


def _with_settings(structure: REDCapProject, row: Row) -> tuple[REDCapProject, int]:
    """A project with other settings, and how many were accepted; other names are passed over.

    Raises:
        RequestError: A text where there is a number (guess), or what cannot be done here.
    """
    columns = {column.name: "int" in str(column.type) for column in fields(ProjectInfo)}
    given = {
        name: value
        for name, value in row.items()
        if name in columns and name not in _NOT_SETTINGS and (value != "" or not columns[name])
    }
    numbers = [name for name in given if columns[name]]
    if wrong := [name for name in numbers if not re.fullmatch("[0-9]{1,9}", given[name])]:
        raise RequestError(400, f"These settings take a number: {', '.join(wrong)}")
    known = row_value(ProjectInfo, given)
    info = replace(structure.info, **{name: getattr(known, name) for name in given})
    longitudinal = bool(int(given.get("is_longitudinal", structure.is_longitudinal)))
    if structure.is_longitudinal and not longitudinal:
        raise RequestError(400, "This sandbox cannot make a longitudinal project classic.")
    if longitudinal and not structure.is_longitudinal:
        structure = _longitudinal(structure)
    return replace(structure, info=info), len(given)


def _longitudinal(structure: REDCapProject) -> REDCapProject:
    """A classic project with one event, in which all its forms are."""
    name = _EVENT.unique_event_name
    return replace(
        structure,
        arms=(Arm(1, "Arm 1"),),
        events=(_EVENT,),
        form_events=tuple(
            FormEvent(1, name, form.instrument_name) for form in structure.instruments
        ),
        repeating=tuple(replace(row, event_name=name) for row in structure.repeating),
    )
