"""The values of a record import compared with the stored ones: only other values are sent."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.calls.written_values import UnwritableValueError, Value
from redcap_dagster.api.errors import RefusedError, RightsError, TokenError
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.row_keys import fold_record_ids
from redcap_dagster.api.export.reader.selection import check_selection
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.record_import.choices import ValueRow
from redcap_dagster.api.methods.record_import.results import CellChange
from redcap_dagster.api.methods.record_import.target import (
    PLACE_COLUMNS,
    ImportTarget,
    Row,
    Shape,
)
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import ACCESS_GROUP, REPEAT_INSTANCE

Place = tuple[str, str, str, str]
"""The place of a row: record, event, repeating instrument, instance."""

StoredRows = Mapping[Place, Mapping[str, str | None]]

REFUSALS: Final = (RefusedError, RightsError, TokenError)
"""The errors of a user who may not export the records that the import changes."""

_MOST_CELLS: Final = 200_000


@dataclass
class Comparison:
    """What an import would change and send.

    Attributes:
        changes: The values that are not stored yet.
        rows: The rows to send: their keys, and these values; and rows of places that are not stored
            yet. With the values of an instrument, its status is sent too, as REDCap exports the
            status of an instrument that was never saved like one that is incomplete.
        lossy: Counts of values that their field cannot store as they are, by column.
        dates: Counts of texts that are not dates, by column.
        files: Names of file fields that have values other than their files.
    """

    changes: list[CellChange] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    lossy: Counter[str] = field(default_factory=Counter)
    dates: Counter[str] = field(default_factory=Counter)
    files: set[str] = field(default_factory=set)


def check_comparisons(comparisons: Sequence[Comparison], date_format: str) -> None:
    """Raise if there are values that cannot be imported.

    Args:
        comparisons: The comparisons of all batches.
        date_format: The order in dates that are texts.

    Raises:
        ValueError: There are. The message has names of columns and counts only.
    """
    files = sorted(set[str]().union(*(one.files for one in comparisons)))
    if files:
        raise ValueError(
            f"data: {list_names(files)} hold files, which a record import cannot store. Import "
            "each with client.files.import_, and leave the column out or blank."
        )
    dates = sum((one.dates for one in comparisons), Counter[str]())
    if dates:
        raise ValueError(
            f"data: {dates.total()} values of {list_names(sorted(dates))} are not dates of the "
            f"calendar. Write the year first, or as date_format says: {date_format}."
        )
    lossy = sum((one.lossy for one in comparisons), Counter[str]())
    if lossy:
        raise ValueError(
            f"data: {lossy.total()} values of {list_names(sorted(lossy))} cannot be stored as they "
            "are: they have more decimals than the field's validation, seconds or a time of day "
            "that it does not take, none where it needs one, or a label that two choices have. "
            "Round the values, or give texts or codes."
        )


def export_stored(
    transport: Transport,
    target: ImportTarget,
    rows: Sequence[ValueRow],
    shape: Shape,
    overwrite: bool,
) -> StoredRows | None:
    """Return the stored rows of the records of a batch, with the columns that the user may export.

    Nothing is known where REDCap shows the user hashes instead of record ids: then it is None.

    Args:
        transport: The connection to the project.
        target: The project.
        rows: The rows to import.
        shape: The shape of these rows.
        overwrite: Whether blank values overwrite stored ones.

    Raises:
        REDCapError: A request failed; one of `REFUSALS` if the user may not export these records.
    """
    known = [row for row in rows if row.get(REPEAT_INSTANCE) != "new"]
    names = {name for _, name, _ in _iterate_values(target, known, shape, overwrite)}
    if not names:
        return {}
    fields = sorted({target.columns[name].field_name for name in names} - {""})
    if len(fields) > transport.max_parameters // 2:
        fields = []  # all are exported
    size = max(1, _MOST_CELLS // (len(names) if fields else len(target.columns)))
    id_field = target.project.record_id_field
    records = list_ids(known, target.get_id_column(shape))
    stored: dict[Place, Mapping[str, str | None]] = {}
    for start in range(0, len(records), size):
        ids = check_selection(records=records[start : start + size])
        named = check_selection(fields=sorted({*fields, id_field}) if fields else None)
        groups = check_selection(export_data_access_groups=ACCESS_GROUP in names)
        table = _export_permitted(transport, [ids | named | groups, ids | named, ids], id_field)
        if _has_other_ids(table[id_field], records):
            return None
        stored |= {_get_place(row, id_field): row for row in table.to_pylist()}
    return stored


def _export_permitted(
    transport: Transport, attempts: Sequence[dict[str, str]], record_id_field: str
) -> pa.Table:
    """Return the export of the first parameters that are not refused.

    A user may not name fields without the right to export them, nor ask for access groups in
    another case. An export that names no fields is without the columns that the user may not see.
    """
    for parameters in attempts[:-1]:
        try:
            return read_records(transport, parameters, record_id_field)
        except REFUSALS:
            continue
    return read_records(transport, attempts[-1], record_id_field)


def _has_other_ids(shown: pa.ChunkedArray, records: Sequence[str]) -> bool:
    """Return whether an export of these records shows none of their ids, but hashes."""
    given = fold_record_ids(pa.array(records, pa.string()))
    return len(shown) > 0 and not pc.any(pc.is_in(fold_record_ids(shown), given)).as_py()


def _iterate_values(
    target: ImportTarget, rows: Sequence[ValueRow], shape: Shape, overwrite: bool
) -> Iterator[tuple[ValueRow, str, Value]]:
    """Yield the values that REDCap does not ignore as their row, column and value."""
    for row, name, value in target.iterate_cells(rows, shape):
        column = target.columns[name]
        is_blank = value in (None, "")
        if not (column.is_ignored or (is_blank and (column.is_file or not overwrite))):
            yield row, name, value


def compare_rows(
    target: ImportTarget,
    rows: Sequence[ValueRow],
    shape: Shape,
    stored: StoredRows | None,
    overwrite: bool,
    date_format: str,
) -> Comparison:
    """Return the values that are not stored yet, by the validation of their fields.

    Args:
        target: The project.
        rows: The rows to import.
        shape: The shape of these rows.
        stored: The stored rows of these records, as exported; None if they are not known.
        overwrite: Whether blank values overwrite stored ones.
        date_format: The order in dates that are texts. REDCap exports year, month, day.
    """
    found = Comparison()
    id_column = target.get_id_column(shape)
    sent: list[tuple[ValueRow, dict[str, str], bool]] = []
    statuses: list[tuple[dict[str, str], Place, str, str]] = []
    written: dict[Place, dict[str, str]] = {}
    for row in rows:
        place = _get_place(row, id_column)
        current = None if stored is None else _find_row(stored, place)
        earlier = {} if row.get(REPEAT_INSTANCE) == "new" else written.setdefault(place, {})
        values: dict[str, str] = {}
        for _, name, value in _iterate_values(target, [row], shape, overwrite):
            column = target.columns[name]
            is_known = stored is not None and (current is None or name in current)
            before = current[name] or "" if current is not None and name in current else None
            if name in earlier:  # an earlier row of the same place
                before, is_known = earlier[name], True
            has_it = is_known and column.has_value(before or "", value, date_format)
            if has_it and column.is_status and value not in (None, ""):
                statuses.append((values, place, name, before or ""))
            elif column.is_file and not has_it:
                found.files.add(name)
            elif not has_it and not column.takes_date(value, date_format):
                found.dates[name] += 1
            elif not has_it:
                try:
                    text = column.write(value, before or "", date_format)
                except UnwritableValueError:
                    found.lossy[name] += 1
                    continue
                values[name] = earlier[name] = text
                found.changes.append(CellChange(*place, name, before, text))
        sent.append((row, values, current is None))
    changed = {
        (place, target.columns[name].form) for place, names in written.items() for name in names
    }
    for values, place, name, text in statuses:
        if (place, target.columns[name].form) in changed:
            values[name] = text
    found.rows = [
        _build_row(target, row, shape, values) for row, values, is_new in sent if values or is_new
    ]
    return found


def _build_row(target: ImportTarget, row: ValueRow, shape: Shape, values: Mapping[str, str]) -> Row:
    """Return a row with its keys and the values to send."""
    names = (target.get_id_column(shape), *PLACE_COLUMNS)
    keys = {name: str(row[name] or "") for name in names if name in row}
    if shape == "flat":
        return {**keys, **values}
    no_value = (target.project.record_id_field, keys["record"])
    name, text = next(iter(values.items()), no_value)
    return {**keys, "field_name": name, "value": text}


def list_ids(rows: Sequence[ValueRow], id_column: str) -> tuple[str, ...]:
    """Return the record ids of rows, each once."""
    return tuple(dict.fromkeys(str(row[id_column]) for row in rows))


def _find_row(stored: StoredRows, place: Place) -> Mapping[str, str | None] | None:
    """Return the stored row of a place; instance 1 may be blank where no instrument repeats."""
    record, event, instrument, instance = place
    other = {"": "1", "1": ""}.get(instance, instance)
    return stored.get(place) or (
        None if instrument else stored.get((record, event, instrument, other))
    )


def get_stored_text(
    stored: StoredRows, row: Mapping[str, object], id_column: str, name: str
) -> str | None:
    """Return the stored text of a column in the place of a row; None where it has none."""
    current = _find_row(stored, _get_place(row, id_column))
    return None if current is None else current.get(name)


def _get_place(row: Mapping[str, object], id_column: str) -> Place:
    event, instrument, instance = (str(row.get(name) or "") for name in PLACE_COLUMNS)
    return str(row[id_column] or "").strip(), event, instrument, instance
