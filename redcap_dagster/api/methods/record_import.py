"""What a record import may hold, how it is cut up, and what it would change."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Any, Final, Literal, Self

import pyarrow as pa

from redcap_dagster.api.calls.import_data import check_columns
from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import (
    IS_LONGITUDINAL,
    export_info,
    export_rows,
    is_flag_set,
    read_count,
)
from redcap_dagster.api.http.response import (
    Response,
    check_data,
    malformed_error,
    read_body,
    read_json,
)
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import parse_choices
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_COLUMNS,
    SURVEY_IDENTIFIER,
    timestamp_column,
)

Row = Mapping[str, str]
Shape = Literal["flat", "eav"]

_PLACE: Final = (EVENT_NAME, *REPEAT_COLUMNS)


@dataclass(frozen=True, slots=True)
class CellChange:
    """A value that an import would change; ``repr`` shows neither record nor values.

    Attributes:
        record: The record id.
        event: Blank in a classic project.
        instrument: The repeating form; blank elsewhere.
        instance: Blank where nothing repeats.
        column: The export column.
        before: What is there; None where there is no such row yet.
        after: What would be there.
    """

    record: str = field(repr=False)
    event: str
    instrument: str
    instance: str
    column: str
    before: str | None = field(repr=False)
    after: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecordImport:
    """What an import did; of a dry run, what it would do.

    Attributes:
        records: The ids of records that REDCap took; of a dry run, those that it would get. None
            where they were not asked for, and of an import that goes on in the background.
        numbered: For each record that REDCap numbered, the id that was given and the new one.
        changes: Of a dry run, value by value.
        count: How many records; None where REDCap does not tell.
    """

    records: tuple[str, ...] = field(repr=False)
    numbered: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    changes: tuple[CellChange, ...] = field(default=(), repr=False)
    count: int | None = None

    @classmethod
    def of(cls, parts: Sequence[Self]) -> Self:
        """Add up what several requests did."""
        counts = [part.count for part in parts if part.count is not None]
        return cls(
            records=tuple(chain.from_iterable(part.records for part in parts)),
            numbered=tuple(chain.from_iterable(part.numbered for part in parts)),
            count=sum(counts) if len(counts) == len(parts) else None,
        )


@dataclass(frozen=True)
class ImportTarget:
    """What a project takes in an import.

    Attributes:
        record_id_field: The first field of the dictionary.
        originals: The field of each export column.
        validations: The validation of each field.
        computed: Fields that REDCap computes, and leaves alone in imports.
        files: Fields that hold files, which are imported one by one.
        added: Columns that REDCap adds to rows.
        events: The unique names; none in a classic project.
        missing: Codes that any field takes for a missing value.
    """

    record_id_field: str
    originals: Mapping[str, str]
    validations: Mapping[str, str]
    computed: frozenset[str]
    files: frozenset[str]
    added: frozenset[str]
    events: frozenset[str]
    missing: frozenset[str]

    @classmethod
    def export(cls, transport: Transport) -> Self:
        """Ask a project what it takes, by its dictionary, columns and events.

        Raises:
            REDCapError: Of the type that says what is wrong.
        """
        metadata = export_rows(
            transport, "metadata export", call_parameters("metadata"), "field_name"
        )
        names = export_rows(
            transport,
            "exportFieldNames export",
            call_parameters("exportFieldNames"),
            "export_field_name",
        )
        info = export_info(transport)
        events = []
        if is_flag_set(info, IS_LONGITUDINAL):
            events = export_rows(
                transport, "event export", call_parameters("event"), "unique_event_name"
            )
        return cls(
            record_id_field=metadata[0]["field_name"],
            originals={row["export_field_name"]: row["original_field_name"] for row in names},
            validations={
                row["field_name"]: row.get("text_validation_type_or_show_slider_number", "")
                for row in metadata
            },
            computed=_fields(metadata, "calc"),
            files=_fields(metadata, "file"),
            added=frozenset({*_PLACE, ACCESS_GROUP, SURVEY_IDENTIFIER})
            | {timestamp_column(str(row.get("form_name"))) for row in metadata},
            events=frozenset(row["unique_event_name"] for row in events),
            missing=frozenset(
                choice.code for choice in parse_choices(str(info.get("missing_data_codes") or ""))
            ),
        )

    def id_column(self, shape: Shape) -> str:
        """Give the column of the record id."""
        return self.record_id_field if shape == "flat" else "record"

    def check(self, rows: Sequence[Row], shape: Shape, date_format: str) -> None:
        """Make sure that the project takes these rows: their columns, places and dates.

        Raises:
            ValueError: It does not; the text has names of columns and counts only.
        """
        id_column = self.id_column(shape)
        check_columns(rows, [id_column, *(("field_name", "value") if shape == "eav" else ())])
        blank = sum(not row[id_column].strip() for row in rows)
        if blank:
            raise ValueError(f"data: {blank} rows have no record id.")
        columns = dict.fromkeys(name for row in rows for name in row)
        if shape == "eav":
            other = set(columns) - {"record", "field_name", "value", *_PLACE}
            _refuse("columns of an EAV import", sorted(other))
            unknown = sum(row["field_name"] not in self.originals for row in rows)
            if unknown:
                # What stands there may be anything, so it is only counted.
                raise ValueError(
                    f"data: {unknown} rows name a field that the project has not. An option of a "
                    "checkbox goes as race___1, with value 0 or 1, though it is exported as race."
                )
        else:
            asked = [name for name in columns if name not in self.originals]
            held = [name for name in asked if name in self.files]
            if held:
                raise ValueError(
                    f"data: {', '.join(held)}: files are imported by client.files.import_."
                )
            known = self.added | {id_column}
            _refuse("fields of the project", [name for name in asked if name not in known])
        wrong = sum(row.get(EVENT_NAME, "") not in self.events | {""} for row in rows)
        if wrong:
            known_events = list_names(sorted(self.events)) or "none, as it is classic"
            raise ValueError(
                f"data: {wrong} rows have a redcap_event_name that the project has not; it has "
                f"{known_events}."
            )
        dates = [
            column
            for _, column, value in self.cells(rows, shape)
            if self.validations.get(column, "").startswith("date")
            and value.strip() not in self.missing | {""}
            and not _is_date(value.strip(), date_format)
        ]
        if dates:
            raise ValueError(
                f"data: {len(dates)} values of {list_names(sorted(set(dates)))} are no "
                f"dates of the calendar, written year first or as date_format says: {date_format}."
            )

    def cells(self, rows: Sequence[Row], shape: Shape) -> Iterator[tuple[Row, str, str]]:
        """Give each value as its row, export column and text."""
        id_column = self.id_column(shape)
        for row in rows:
            if shape == "eav":
                yield row, row["field_name"], row["value"]
            else:
                for name, value in row.items():
                    if name != id_column and name not in _PLACE:
                        yield row, name, value


def _fields(metadata: Sequence[Mapping[str, Any]], field_type: str) -> frozenset[str]:
    return frozenset(row["field_name"] for row in metadata if row.get("field_type") == field_type)


def _refuse(what: str, names: Sequence[str]) -> None:
    if names:
        raise ValueError(f"data: these are no {what}: {list_names(names)}.")


def batches(rows: Sequence[Row], id_column: str, size: int) -> Iterator[list[Row]]:
    """Cut rows up so that a record stays in one piece; a large record makes a larger piece.

    Example:
        >>> rows = [{"id": "1"}, {"id": "2"}, {"id": "1"}, {"id": "3"}]
        >>> [[row["id"] for row in batch] for batch in batches(rows, "id", 2)]
        [['1', '1'], ['2', '3']]
    """
    records: dict[str, list[Row]] = {}
    for row in rows:
        records.setdefault(row[id_column], []).append(row)
    batch: list[Row] = []
    for own in records.values():
        if batch and len(batch) + len(own) > size:
            yield batch
            batch = []
        batch += own
    if batch:
        yield batch


def read_accepted(response: Response) -> RecordImport:
    """Read the answer to an import in the background: it only says that it is accepted."""
    if read_json(response) not in ({"success": True}, {"success": "true"}, {"success": 1}):
        raise malformed_error(response, "it does not say that the import was accepted")
    return RecordImport(())


def read_import(response: Response, return_content: str) -> RecordImport:
    """Read what REDCap tells of an import, as it was asked to.

    Raises:
        MalformedResponseError: It tells something else.
        REDCapError: Of the type that says what is wrong.
    """
    if return_content == "count":
        return RecordImport((), count=read_count(response))
    if return_content == "nothing":
        body = read_body(response).strip()
        if body not in (b"", b"{}", b"[]"):  # a guess; told is that nothing but the status comes
            check_data(response, body)
            raise malformed_error(response, "it tells something where nothing was asked for")
        return RecordImport(())
    ids = read_json(response)
    if not isinstance(ids, list) or not all(isinstance(one, str | int) for one in ids):
        raise malformed_error(response, "it is no list of record ids")
    if return_content == "ids":
        return RecordImport(tuple(map(str, ids)), count=len(ids))
    pairs = [str(pair).partition(",") for pair in ids]
    return RecordImport(
        tuple(new for new, _, _ in pairs),
        tuple((given, new) for new, comma, given in pairs if comma),
        count=len(ids),
    )


def compare(
    target: ImportTarget,
    rows: Sequence[Row],
    shape: Shape,
    current: pa.Table,
    overwrite: bool,
    date_format: str,
) -> Iterator[CellChange]:
    """Say what an import would change; values are compared as text.

    Args:
        target: The project.
        rows: What is to be imported.
        shape: Of these rows.
        current: An export of these records, with the columns that it would change.
        overwrite: Whether blank values overwrite.
        date_format: The order in the dates of the rows; REDCap exports Y-M-D.
    """
    id_field, id_column = target.record_id_field, target.id_column(shape)
    there = {_place(row, id_field): row for row in current.to_pylist()}
    for row, column, value in target.cells(rows, shape):
        if (value == "" and not overwrite) or target.originals.get(column) in target.computed:
            continue
        place = _place(row, id_column)
        known = there.get(place)
        before = None if known is None else known.get(column) or ""
        if target.validations.get(column, "").startswith("date"):
            value = _year_first(value, date_format)
        if before != value and not (before is None and value == ""):
            yield CellChange(*place, column, before, value)


def _place(row: Mapping[str, str | None], id_column: str) -> tuple[str, str, str, str]:
    event, form, instance = (row.get(name) or "" for name in _PLACE)
    return row[id_column] or "", event, form, instance


_DAY_LAST: Final = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})(.*)", re.ASCII)


def _year_first(value: str, date_format: str) -> str:
    found = _DAY_LAST.fullmatch(value)
    if found is None or date_format == "YMD":
        return value
    month, day = found.group(1, 2) if date_format == "MDY" else found.group(2, 1)
    return f"{found[3]}-{month:0>2}-{day:0>2}{found[4]}"


_YEAR_FIRST: Final = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?!\d)", re.ASCII)


def _is_date(value: str, date_format: str) -> bool:
    """Whether a value begins with a day of the calendar; a time is left to the server to judge.

    Guess: no server takes years of two digits.
    """
    found = _YEAR_FIRST.match(_year_first(value, date_format))
    try:
        return found is not None and bool(date(*map(int, found.groups())))
    except ValueError:
        return False
