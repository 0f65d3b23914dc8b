"""Deletions by the API: of records, or of their arms, events, instances and instruments."""

from collections.abc import Mapping
from typing import Final

from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_text
from redcap_dagster.sandbox.calls.log import log_record, write_record_log
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.selection import select_arm_rows
from redcap_dagster.sandbox.store.rights import require
from redcap_dagster.sandbox.store.row_keys import RowKey, list_row_forms


def delete_records(call: Call) -> Response:
    """Handle ``content=record``, ``action=delete``: respond with the number of records as text."""
    require(call.project.rights.record_delete, 403, "You do not have Delete Record privileges")
    parameters = call.parameters
    records = tuple(dict.fromkeys(parameters.get_list("records")))
    rows = select_arm_rows(call, records) if records else {}
    existing = {row_key.record for row_key in rows}
    if unknown := [record for record in records if record not in existing]:
        # How several are listed is a guess.
        raise RequestError(
            400,
            "One or more of the records provided cannot be deleted because they do not exist in "
            f"the project. The following records do not exist: {', '.join(unknown)}",
        )
    if not records:
        raise RequestError(400, "The request does not name the records to delete.")  # guess
    if parameters.get_text("instrument"):
        _delete_form(call, rows)
    else:
        _delete_rows(call, rows)
    remaining = {row_key.record for row_key in select_arm_rows(call, records)}
    for record in records:
        if parameters.get_text("instrument") or record in remaining:
            log_record(call, "Update", record)  # guess
        else:
            _log_deletion(call, record)
    return respond_with_text(str(len(records)), call.format)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("record", "delete"): delete_records,
}


# -- rows and values ------------------------------------------------------------------------------


def _matches_event_and_instance(call: Call, row_key: RowKey) -> bool:
    """Return whether a row belongs to the requested event and instance."""
    event, instance = call.parameters.get_text("event"), call.parameters.get_text("repeat_instance")
    return row_key.event == (event or row_key.event) and str(row_key.instance) == (
        instance or str(row_key.instance)
    )


def _delete_rows(call: Call, rows: Mapping[RowKey, int]) -> None:
    """Delete rows: all, or those of the requested event and instance (guess)."""
    _check_event(call)
    numbers = [
        number for row_key, number in rows.items() if _matches_event_and_instance(call, row_key)
    ]
    with call.store.connection as database:
        database.executemany("delete from row where id = ?", [(number,) for number in numbers])


def _delete_form(call: Call, rows: Mapping[RowKey, int]) -> None:
    """Delete the values of one instrument; of a repeating one an instance, by default the first."""
    structure, parameters = call.project.structure, call.parameters
    names = [row.instrument_name for row in structure.instruments]
    form = parameters.get_choice("instrument", tuple(names), "")
    _check_event(call)
    if structure.is_longitudinal and not parameters.get_text("event"):
        raise RequestError(
            400, "The request does not name the event of the instrument to delete."
        )  # guess
    columns = [column.name for column in structure.columns(form)]
    with call.store.connection as database:
        for row_key, number in rows.items():
            if not _matches_event_and_instance(call, row_key) or form not in list_row_forms(
                structure, row_key.event, row_key.instrument
            ):
                continue
            if row_key.instrument:
                if parameters.get_text("repeat_instance") or row_key.instance == 1:
                    database.execute("delete from row where id = ?", (number,))
                continue
            database.executemany(
                "delete from value where row = ? and name = ?",
                [(number, name) for name in columns],
            )


def _check_event(call: Call) -> None:
    events = call.project.structure.events
    call.parameters.get_known_names("event", (event.unique_event_name for event in events))


def _log_deletion(call: Call, record: str) -> None:
    """Log the deletion of a record; ``delete_logging`` first deletes its entries."""
    with call.store.connection as database:
        database.execute(
            "delete from access_group where project = ? and record = ?", (call.project.id, record)
        )
        if call.parameters.get_text("delete_logging") == "1":
            database.execute(
                "delete from log where project = ? and record = ?", (call.project.id, record)
            )
    write_record_log(call.store, call.project, "Delete", record)
