"""The exports of a project's structure, one function per content."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from operator import attrgetter
from typing import Final

from redcap_dagster.project import Event, ExportFieldName, Field, ProjectInfo, REDCapProject
from redcap_dagster.project.system_columns import timestamp_column
from redcap_dagster.sandbox.calls.call import (
    Call,
    Handler,
    Response,
    respond_with_table,
    respond_with_text,
)
from redcap_dagster.sandbox.calls.log import log_management
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.parameters import Parameters, RequestError
from redcap_dagster.sandbox.protocol.version import parse_version

# A server of 2017 lacked has_repeating..., missing_data_codes, external_modules and bypass..., a
# server with 9.1.3 the last three; project_pi_email came with 15.8.2. The others are guesses.
_SINCE: Final = {
    "has_repeating_instruments_or_events": (8, 0, 0),
    "missing_data_codes": (10, 0, 0),
    "external_modules": (10, 0, 0),
    "bypass_branching_erase_field_prompt": (12, 0, 0),
    "project_pi_email": (15, 8, 2),
}
_SCHEDULING = ("day_offset", "offset_min", "offset_max")


def export_project(project: REDCapProject, _: Parameters) -> Table:
    """Return the project info, with the server's defaults for settings that are missing."""
    known = asdict(project.info) | {
        "is_longitudinal": int(project.is_longitudinal),
        "has_repeating_instruments_or_events": int(project.has_repeating),
        "project_language": project.info.project_language or "English",
    }
    version = parse_version(project.version)
    row = {
        column.name: known[column.name]
        if known[column.name] is not None
        else (0 if "int" in str(column.type) else "")
        for column in fields(ProjectInfo)
        if version >= _SINCE.get(column.name, ())
    }
    return Table(tuple(row), [tuple(row.values())], single=True)


def export_metadata(project: REDCapProject, parameters: Parameters) -> Table:
    """Return the data dictionary, of the requested fields and instruments."""
    named = parameters.get_known_names("fields", (field.field_name for field in project.fields))
    forms = parameters.get_known_names(
        "forms", (row.instrument_name for row in project.instruments)
    )
    columns = tuple(column.name for column in fields(Field))
    read_row = attrgetter(*columns)
    rows = [
        read_row(field)
        for field in project.fields
        if not (named or forms) or field.field_name in named or field.form_name in forms
    ]
    return Table(columns, rows, delimiter=",")


def export_instruments(project: REDCapProject, _: Parameters) -> Table:
    """Return the instruments and their labels."""
    rows = [(row.instrument_name, row.instrument_label) for row in project.instruments]
    return Table(("instrument_name", "instrument_label"), rows, quoted=("instrument_label",))


def export_arms(project: REDCapProject, parameters: Parameters) -> Table:
    """Return the arms that have events."""
    _refuse_classic(project, "arms")
    names = {arm.arm_num: arm.name for arm in project.arms}
    numbers = sorted({event.arm_num for event in _select_events(project, parameters)})
    rows = [(number, names.get(number, f"Arm {number}")) for number in numbers]
    return Table(("arm_num", "name"), rows, quoted=("name",), newline=False)


def export_events(project: REDCapProject, parameters: Parameters) -> Table:
    """Return the events, with their days if scheduling is enabled."""
    _refuse_classic(project, "events")
    columns: tuple[str, ...] = ("event_name", "arm_num")
    columns += _SCHEDULING if project.info.scheduling_enabled else ()
    columns += ("unique_event_name", "custom_event_label", "event_id")
    rows = [
        tuple("" if (value := getattr(event, column)) is None else value for column in columns)
        for event in _select_events(project, parameters)
    ]
    return Table(columns, rows, quoted=("event_name",))


def export_form_event_mapping(project: REDCapProject, parameters: Parameters) -> Table:
    """Return which instruments are designated for which events, by arm, event and instrument."""
    _refuse_classic(project, "form/event mappings")
    designated = {(row.unique_event_name, row.form) for row in project.form_events}
    rows = [
        (event.arm_num, event.unique_event_name, form.instrument_name)
        for event in sorted(_select_events(project, parameters), key=lambda event: event.arm_num)
        for form in project.instruments
        if (event.unique_event_name, form.instrument_name) in designated
    ]
    return Table(("arm_num", "unique_event_name", "form"), rows, newline=False)


def export_repeating(project: REDCapProject, _: Parameters) -> Table:
    """Return the repeating instruments and events; classic projects have no event column."""
    if not project.has_repeating:
        raise RequestError(
            400,
            "You cannot export repeating instruments and events because the project does not "
            "contain any repeating instruments and events",
        )
    columns = ("event_name",) * project.is_longitudinal + ("form_name", "custom_form_label")
    rows = [tuple(getattr(row, column) for column in columns) for row in project.repeating]
    return Table(columns, rows)


def export_field_names(project: REDCapProject, parameters: Parameters) -> Table:
    """Return the export columns, without file fields and survey timestamps."""
    id_field = project.fields[0].field_name
    rows = [ExportFieldName(id_field, "", id_field)]
    rows.extend(
        ExportFieldName(
            column.field.field_name, column.choice.code if column.choice else "", column.name
        )
        for form in project.instruments
        for column in project.columns(form.instrument_name)
        if column.field.field_type != "file"
        and column.name != timestamp_column(form.instrument_name)
    )
    if name := parameters.get_text("field"):
        parameters.get_choice("field", tuple(row.original_field_name for row in rows), name)
        rows = [row for row in rows if row.original_field_name == name]
    columns = tuple(column.name for column in fields(ExportFieldName))
    return Table(columns, list(map(attrgetter(*columns), rows)))


def export_version(call: Call) -> Response:
    """Handle ``content=version``: respond with plain text in every format."""
    log_management(call, "Export REDCap version (API)")
    return respond_with_text(call.project.structure.version, call.format)


def _make_handler(export: Callable[[REDCapProject, Parameters], Table], details: str) -> Handler:
    def handle(call: Call) -> Response:
        response = respond_with_table(call, export(call.project.structure, call.parameters))
        log_management(call, details)
        return response

    return handle


# The log entries of arms, events, mapping and repeating are guesses.
HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("project", "export"): _make_handler(export_project, "Export project information (API)"),
    ("metadata", "export"): _make_handler(export_metadata, "Download data dictionary (API)"),
    ("instrument", "export"): _make_handler(export_instruments, "Export instruments (API)"),
    ("arm", "export"): _make_handler(export_arms, "Export arms (API)"),
    ("event", "export"): _make_handler(export_events, "Export events (API)"),
    ("formEventMapping", "export"): _make_handler(
        export_form_event_mapping, "Export instrument-event mappings (API)"
    ),
    ("repeatingFormsEvents", "export"): _make_handler(
        export_repeating, "Export repeating instruments and events (API)"
    ),
    ("exportFieldNames", "export"): _make_handler(
        export_field_names, "Download export field names (API)"
    ),
    ("version", "export"): export_version,
}
"""Handlers of the exports of a project's structure."""


def _refuse_classic(project: REDCapProject, what: str) -> None:
    if not project.is_longitudinal:
        raise RequestError(400, f"You cannot export {what} for classic projects")


def _select_events(project: REDCapProject, parameters: Parameters) -> Iterable[Event]:
    """Return the events of the requested arms, which have to exist (guess)."""
    arms = parameters.get_known_names("arms", (str(event.arm_num) for event in project.events))
    return [event for event in project.events if not arms or str(event.arm_num) in arms]
