"""The row keys of import data: record, event, repeating instrument and instance of each row."""

from collections.abc import Callable, Iterable

from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_INSTANCE, REPEAT_INSTRUMENT
from redcap_dagster.sandbox.calls.call import Call
from redcap_dagster.sandbox.protocol.import_data import Row
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.record_import.refusals import ImportRefusedError, InvalidValue
from redcap_dagster.sandbox.store.row_keys import RowKey, list_row_forms


def make_row_key_reader(call: Call, rows: Iterable[Row]) -> Callable[[Row], RowKey]:
    """Return a function that reads the key of a row.

    The messages of its refusals are guesses, and that a wrong instance is refused like a value.
    """
    structure = call.project.structure
    newest: dict[tuple[str, str, str], int] = {}
    records = {row.get(structure.record_id_field, "").strip() for row in rows}
    for _, row_key in call.store.find_rows(call.project, tuple(records), ()):
        series = (row_key.record, row_key.event, row_key.instrument)
        newest[series] = max(row_key.instance, newest.get(series, 0))
    events = {event.unique_event_name for event in structure.events} or {""}

    def read_row_key(row: Row) -> RowKey:
        record = row.get(structure.record_id_field, "").strip()
        if not record:
            raise RequestError(
                400, f"A row has no value for the record id field, {structure.record_id_field}."
            )
        event, form = row.get(EVENT_NAME, ""), row.get(REPEAT_INSTRUMENT, "")
        if event not in events:
            raise RequestError(400, f"The following event names are not valid: {event or 'blank'}")

        def refuse(name: str, message: str) -> ImportRefusedError:
            return ImportRefusedError([InvalidValue(record, name, row.get(name, ""), message)])

        if form and not list_row_forms(structure, event, form):
            raise refuse(REPEAT_INSTRUMENT, "The instrument is not a repeating one in this event")
        instance_text = row.get(REPEAT_INSTANCE, "")
        last = newest.get((record, event, form), 0)
        if not (form or event in structure.repeating_events):
            if instance_text not in ("", "1"):
                raise refuse(REPEAT_INSTANCE, "The row has an instance where nothing repeats")
            return RowKey(record, event)
        if instance_text == "new":
            instance = last + 1
        elif instance_text == "" and not form:
            instance = 1
        elif (
            instance_text.isascii() and instance_text.isdecimal() and 0 < int(instance_text) < 32768
        ):
            instance = int(instance_text)
        else:
            raise refuse(REPEAT_INSTANCE, "The instance is missing, or not a number or new")
        newest[record, event, form] = max(instance, last)
        return RowKey(record, event, form, instance)

    return read_row_key
