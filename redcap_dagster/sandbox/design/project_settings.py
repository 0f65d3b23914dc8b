"""The settings of a project: title, purpose, longitudinal or classic, and the like."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Final

from redcap_dagster.project import Arm, Event, FormEvent, ProjectInfo, REDCapProject
from redcap_dagster.project.rows import parse_row
from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_count
from redcap_dagster.sandbox.calls.log import log_management
from redcap_dagster.sandbox.calls.required_rights import require_import_right
from redcap_dagster.sandbox.protocol.import_data import Row, read_rows
from redcap_dagster.sandbox.protocol.parameters import RequestError

_FIRST_EVENT: Final = Event("Event 1", 1, "event_1_arm_1", event_id=1)
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


def import_settings(call: Call) -> Response:
    """Handle ``content=project_settings``: respond with the number of accepted settings."""
    require_import_right(call, "design")
    before = call.project.structure
    row = read_settings(call.parameters.get_text("data"), call.format)
    structure, count = apply_settings(before, row)
    call.store.replace_structure(call.project.id, structure)
    if structure.is_longitudinal and not before.is_longitudinal:
        with call.store.connection as database:
            moved = (_FIRST_EVENT.unique_event_name, call.project.id)
            database.execute("update row set event = ? where project = ?", moved)
            database.execute(
                "update access_group set arm = 1 where project = ?", (call.project.id,)
            )
    log_management(call, "Import project settings (API)")  # guess
    return respond_with_count(call, count)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("project_settings", "import"): import_settings
}


def read_settings(data: str, format_: str) -> Row:
    """Return the row of settings: in JSON an object or a list with one, and likewise in XML.

    Raises:
        RequestError: The data cannot be read, or is not one row.
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


def apply_settings(structure: REDCapProject, row: Row) -> tuple[REDCapProject, int]:
    """Return a project with the settings of a row, and how many were accepted.

    Names that are not settings are ignored.

    Raises:
        RequestError: A number is not one (guess), or the change is not possible in this sandbox.
    """
    columns = {column.name: "int" in str(column.type) for column in fields(ProjectInfo)}
    given = {
        name: value
        for name, value in row.items()
        if name in columns and name not in _NOT_SETTINGS and (value != "" or not columns[name])
    }
    numbers = [name for name in given if columns[name]]
    if invalid := [name for name in numbers if not re.fullmatch("[0-9]{1,9}", given[name])]:
        raise RequestError(400, f"These settings take a number: {', '.join(invalid)}")
    known = parse_row(ProjectInfo, given)
    info = replace(structure.info, **{name: getattr(known, name) for name in given})
    longitudinal = bool(int(given.get("is_longitudinal", structure.is_longitudinal)))
    if structure.is_longitudinal and not longitudinal:
        raise RequestError(400, "This sandbox cannot make a longitudinal project classic.")
    if longitudinal and not structure.is_longitudinal:
        structure = _make_longitudinal(structure)
    return replace(structure, info=info), len(given)


def _make_longitudinal(structure: REDCapProject) -> REDCapProject:
    """Return a classic project as one with one event, for which all instruments are designated."""
    name = _FIRST_EVENT.unique_event_name
    return replace(
        structure,
        arms=(Arm(1, "Arm 1"),),
        events=(_FIRST_EVENT,),
        form_events=tuple(
            FormEvent(1, name, form.instrument_name) for form in structure.instruments
        ),
        repeating=tuple(replace(row, event_name=name) for row in structure.repeating),
    )
