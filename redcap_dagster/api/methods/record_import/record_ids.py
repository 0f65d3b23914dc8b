"""The record ids of an import, compared with each other and with those that REDCap has."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa

from redcap_dagster.api.calls.written_values import write_value
from redcap_dagster.api.export.reader.records import read_records
from redcap_dagster.api.export.reader.row_keys import fold_record_ids
from redcap_dagster.api.export.reader.selection import check_selection
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.record_import.choices import ValueRow
from redcap_dagster.api.methods.record_import.comparison import REFUSALS
from redcap_dagster.project.validations import VALIDATIONS, read_value

_NUMBER: Final = VALIDATIONS["number"]


def check_spelling(given: Iterable[str], stored: Iterable[str]) -> None:
    """Raise if REDCap's database has two of these ids as one record.

    Args:
        given: The record ids of the data.
        stored: The ids of these records in REDCap, as far as they are stored.

    Raises:
        ValueError: Ids differ in capitals, accents or last blanks alone.

    Example:
        >>> check_spelling(["A-1", "b-1"], ["A-1"])
        >>> check_spelling(["É-1"], ["e-1"])
        Traceback (most recent call last):
        ValueError: data: 1 record ids differ from others, in the data or in REDCap, in capitals, \
accents or last blanks alone. They are the same record for REDCap's database. Write each as REDCap \
has it.
    """
    ids = sorted({record.strip() for record in given})
    others = sorted({*stored} - {*ids})
    folded = [fold_record_ids(pa.array(texts, pa.string())).to_pylist() for texts in (ids, others)]
    counts = Counter(folded[0]) + Counter({*folded[1]})
    if again := sum(counts[record] > 1 for record in folded[0]):
        raise ValueError(
            f"data: {again} record ids differ from others, in the data or in REDCap, in capitals, "
            "accents or last blanks alone. They are the same record for REDCap's database. Write "
            "each as REDCap has it."
        )


def check_numbers(
    transport: Transport, rows: Sequence[ValueRow], id_column: str, record_id_field: str
) -> None:
    """Raise if record ids that are numbers may be other texts in REDCap: 7 may be ``007``.

    Nothing is checked if the user may not export the record ids.

    Args:
        transport: The connection to the project.
        rows: The rows as they were given.
        id_column: The column of the record id.
        record_id_field: The record id field.

    Raises:
        ValueError: They may.
        REDCapError: The request failed. The type says why.
    """
    given = {row[id_column] for row in rows if id_column in row}
    texts = {write_value(record) for record in given if not isinstance(record, str | None)}
    if not texts:
        return
    try:
        listed = read_records(transport, check_selection(fields=[record_id_field]), record_id_field)
    except REFUSALS:
        return
    stored = {*listed[record_id_field].to_pylist()} - texts
    numbers = {read_value(text, _NUMBER) for text in stored} - {None}
    if again := sum(read_value(text, _NUMBER) in numbers for text in texts):
        raise ValueError(
            f"data: {again} record ids are numbers, and REDCap has ids of the same value that are "
            "other texts, such as 007 for 7. Give record ids as texts; pandas reads them so with "
            f"dtype={{'{id_column}': 'string'}}."
        )
