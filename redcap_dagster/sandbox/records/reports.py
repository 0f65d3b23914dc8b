"""Reports: stored selections of fields and rows, and their export."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_table
from redcap_dagster.sandbox.calls.log import write_log
from redcap_dagster.sandbox.protocol.parameters import Parameters, RequestError
from redcap_dagster.sandbox.records.export import build_flat_table
from redcap_dagster.sandbox.store.store import Store, StoredProject

_TABLE: Final = """
create table if not exists report (
    id integer primary key, project integer not null references project on delete cascade,
    fields text not null, filter_logic text not null
)
"""
_FORWARDED: Final = (
    "format",
    "rawOrLabel",
    "rawOrLabelHeaders",
    "exportCheckboxLabel",
    "csvDelimiter",
    "decimalCharacter",
)


def add_report(
    store: Store, project: StoredProject, fields: Sequence[str], filter_logic: str
) -> int:
    """Add a report, as on REDCap's pages, and return its number.

    Raises:
        ValueError: The project does not have one of the fields.
    """
    known = _list_report_fields(project.structure)
    if unknown := [name for name in fields if name not in known]:
        raise ValueError(f"The project does not have the fields {', '.join(unknown)}.")
    with store.lock, store.connection as database:
        database.execute(_TABLE)
        added = database.execute(
            "insert into report (project, fields, filter_logic) values (?, ?, ?)",
            (project.id, json.dumps(fields), filter_logic),
        )
    return added.lastrowid or 0


def add_project_reports(
    store: Store, project: StoredProject, reports: Iterable[Mapping[str, str]]
) -> None:
    """Add the reports of a project XML, by its attributes; fields of no project are left out."""
    known = _list_report_fields(project.structure)
    for report in reports:
        names = report.get("redcap_reports_fields", "").split(",")
        logic = report.get("limiter_logic") or report.get("advanced_logic", "")
        add_report(store, project, [name for name in names if name in known], logic.strip())


def list_reports(store: Store, project: StoredProject) -> list[int]:
    """Return the numbers of a project's reports."""
    store.connection.execute(_TABLE)
    found = store.connection.execute(
        "select id from report where project = ? order by id", (project.id,)
    )
    return [number for (number,) in found]


def _list_report_fields(structure: REDCapProject) -> set[str]:
    names = {field.field_name for field in structure.fields}
    return names | {status_column(form.instrument_name) for form in structure.instruments}


def export_report(call: Call) -> Response:
    """Handle ``content=report``: respond with flat rows, always with the record id (guess)."""
    number = call.parameters.get_text("report_id")
    call.store.connection.execute(_TABLE)
    found = call.store.connection.execute(
        "select fields, filter_logic from report where project = ? and cast(id as text) = ?",
        (call.project.id, number),
    ).fetchone()
    if found is None:
        raise RequestError(
            403,
            f"The API request cannot complete because report_id={number} does not belong to this "
            "project.",
        )
    names = dict.fromkeys([call.project.structure.record_id_field, *json.loads(found[0])])
    pairs = [(name, call.parameters.get_text(name)) for name in _FORWARDED]
    pairs += [("fields[]", name) for name in names] + [("filterLogic", found[1])]
    table = build_flat_table(replace(call, parameters=Parameters.from_pairs(pairs)))
    details = f"report_id: {number}, export_format: {call.format.upper()}"  # guess
    action = call.store.dialect.say("Data export (API) ")
    write_log(call.store, call.project, "export", action, details)
    return respond_with_table(call, table)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {("report", "export"): export_report}
