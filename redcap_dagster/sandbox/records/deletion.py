"""What is done to whole records: delete them or parts of them, rename them."""

from collections.abc import Mapping
from typing import Final

from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply, text_reply
from redcap_dagster.sandbox.calls.log import log_manage, write_record_log
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.selection import seen_rows, subject_of
from redcap_dagster.sandbox.store.rights import require
from redcap_dagster.sandbox.store.store import Place, forms_at


def delete_records(call: Call) -> Reply:
    """Answer ``content=record``, ``action=delete``: the number of records, as plain text."""
    require(call.project.rights.record_delete, 403, "You do not have Delete Record privileges")
    parameters = call.parameters
    records = tuple(dict.fromkeys(parameters.array("records")))
    rows = _rows(call, records) if records else {}
    there = {place.record for place in rows}
    if unknown := [record for record in records if record not in there]:
        # How several are listed is a guess.
        raise RequestError(
            400,
            "One or more of the records provided cannot be deleted because they do not exist in "
            f"the project. The following records do not exist: {', '.join(unknown)}",
        )
    if not records:
        raise RequestError(400, "The records to delete are not named.")  # guess
    if parameters.text("instrument"):
        _delete_form(call, rows)
    else:
        _delete_rows(call, rows)
    left = {place.record for place in _rows(call, records)}
    for record in records:
        if parameters.text("instrument") or record in left:
            write_record_log(call.store, call.project, "Update", record, how="(API)")  # guess
        else:
            _forget(call, record)
    return text_reply(str(len(records)), call.format)


def rename_record(call: Call) -> Reply:
    """Answer ``content=record``, ``action=rename``. All of its refusals are guesses."""
    require(call.project.rights.record_rename, 403, "You do not have Rename Record privileges")
    old, new = call.parameters.text("record"), call.parameters.text("new_record_name").strip()
    rows = {place: number for place, number in _rows(call, (old,)).items() if old}
    if not rows:
        raise RequestError(400, f'The record "{old}" does not exist')
    if not new or call.store.has(call.project, new):
        raise RequestError(400, "The new record name is blank, or a record has it already.")
    subject = subject_of(call.project.structure)
    with call.store.connection as database:
        database.executemany(
            "update row set record = ? where id = ?", [(new, number) for number in rows.values()]
        )
        database.executemany(
            "update access_group set record = ? where project = ? and record = ? and arm = ?",
            [(new, call.project.id, *subject(place)) for place in rows],
        )
    # Known is that date ranges do not see it; how the log tells it is a guess.
    log_manage(call, f"Rename record (API) from '{old}' to '{new}'")
    return text_reply("1", call.format)


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    ("record", "delete"): delete_records,
    ("record", "rename"): rename_record,
}


# -- what goes ------------------------------------------------------------------------------------


def _rows(call: Call, records: tuple[str, ...]) -> dict[Place, int]:
    """The rows of some records, of the arm that is named and as far as the user sees them."""
    structure, arm = call.project.structure, call.parameters.text("arm")
    if arm:
        call.parameters.known("arm", (str(event.arm_num) for event in structure.events))
    subject = subject_of(structure)
    return {
        place: number
        for number, place in seen_rows(call, call.store.rows(call.project, records, ()))
        if not arm or str(subject(place)[1]) == arm
    }


def _here(call: Call, place: Place) -> bool:
    """Whether a place is of the event and instance that are named."""
    event, instance = call.parameters.text("event"), call.parameters.text("repeat_instance")
    return place.event == (event or place.event) and str(place.instance) == (
        instance or str(place.instance)
    )


def _delete_rows(call: Call, rows: Mapping[Place, int]) -> None:
    """Delete whole rows; with an event or an instance only those (guess)."""
    _known_event(call)
    gone = [number for place, number in rows.items() if _here(call, place)]
    with call.store.connection as database:
        database.executemany("delete from row where id = ?", [(number,) for number in gone])


def _delete_form(call: Call, rows: Mapping[Place, int]) -> None:
    """Delete the values of one form; an instance of it goes as a whole, the first by default."""
    structure, parameters = call.project.structure, call.parameters
    names = [row.instrument_name for row in structure.instruments]
    form = parameters.choice("instrument", tuple(names), "")
    _known_event(call)
    if structure.is_longitudinal and not parameters.text("event"):
        raise RequestError(400, "The event of the instrument to delete is not named.")  # guess
    columns = [column.name for column in structure.columns(form)]
    with call.store.connection as database:
        for place, number in rows.items():
            if not _here(call, place) or form not in forms_at(
                structure, place.event, place.instrument
            ):
                continue
            if place.instrument:
                if parameters.text("repeat_instance") or place.instance == 1:
                    database.execute("delete from row where id = ?", (number,))
                continue
            database.executemany(
                "delete from value where row = ? and name = ?",
                [(number, name) for name in columns],
            )


def _known_event(call: Call) -> None:
    events = call.project.structure.events
    call.parameters.known("event", (event.unique_event_name for event in events))


def _forget(call: Call, record: str) -> None:
    """Log that a record is gone; first, if asked, take out what the log has of it."""
    with call.store.connection as database:
        database.execute(
            "delete from access_group where project = ? and record = ?", (call.project.id, record)
        )
        if call.parameters.text("delete_logging") == "1":
            database.execute(
                "delete from log where project = ? and record = ?", (call.project.id, record)
            )
    write_record_log(call.store, call.project, "Delete", record)
