"""The cells of one field in three stages: as sent, without missing markers, typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import NOT_COMPLETED, Choice, Column, Field, REDCapProject
from redcap_dagster.project.columns import is_status_field, is_timestamp_field
from redcap_dagster.tables.cleaning.column_types import (
    BOOLEAN,
    DOUBLE,
    INTEGER,
    TEXT,
    TYPES,
    ColumnType,
    cast_text,
    get_column_type,
)
from redcap_dagster.tables.cleaning.labels import look_up_codes
from redcap_dagster.tables.cleaning.rules import CleaningRules
from redcap_dagster.tables.cleaning.type_inference import infer_type
from redcap_dagster.text_bytes import find_texts, pack_flags, view_bytes

_NULL = pa.scalar(None, pa.string())

_BLANK: Final = "blank"
_INVALID: Final = "unfit"
_NOT_ASKED: Final = "not asked"
_NOT_SAID: Final = "cannot be said"
_REASONS: Final = (_BLANK, _INVALID, _NOT_ASKED, _NOT_SAID)
"""Why a field does not have a value, other than a missing marker or a missing data code."""

_SMALL_CHUNK: Final = 1 << 16
"""Rows; see `get_text_column`."""


@dataclass(frozen=True)
class Cells:
    """The cells of one export column.

    Attributes:
        column: The column.
        text: The text that REDCap sent, blanks null.
        values: The same text with missing markers null.
        typed: The typed values; an invalid value is null.
        inferred: Name of the type if it was inferred from the values. Defaults to blank.
        merging: Name of the type that was not inferred, as different texts would become one number
            or could not be restored. Defaults to blank.
    """

    column: Column
    text: pa.ChunkedArray = field(repr=False)
    values: pa.ChunkedArray = field(repr=False)
    typed: pa.ChunkedArray = field(repr=False)
    inferred: str = ""
    merging: str = ""

    @property
    def replaced(self) -> int:
        """Count of cells that held a missing marker."""
        return int(self.values.null_count - self.text.null_count)

    @property
    def invalid(self) -> int:
        """Count of cells that hold an invalid value."""
        return int(self.typed.null_count - self.values.null_count)

    @property
    def leading_zeros(self) -> int:
        """Count of whole numbers that lose leading zeros as integers."""
        if self.typed.type != INTEGER.arrow:
            return 0
        found = 0
        for chunk in self.values.chunks:
            seen = view_bytes(chunk)
            may_have = (seen.lengths > 1) & (seen.first <= ord("0"))  # a sign is lower than 0
            if may_have.any():
                has = pc.match_substring_regex(chunk.filter(pack_flags(may_have)), r"^[-+]?0\d")
                found += has.true_count
        return found

    @property
    def rounded(self) -> int:
        """Count of numbers with more digits than a double can hold."""
        if self.typed.type != DOUBLE.arrow:
            return 0
        is_long = [view_bytes(chunk).lengths > 15 for chunk in self.values.chunks]
        if not any(flags.any() for flags in is_long):
            return 0
        rows = pa.chunked_array([pack_flags(flags) for flags in is_long], pa.bool_())
        long = self.values.filter(pc.and_(rows, self.typed.is_valid()))
        found = long.filter(pc.match_substring_regex(long, r"(?:\d[.,]?){16}")).value_counts()
        # Arrow has no decimal of any length and exponent; few distinct values are so long.
        return sum(each["counts"] for each in found.to_pylist() if _is_rounded(each["values"]))

    @property
    def replaced_rows(self) -> pa.ChunkedArray:
        """True for each row that held a missing marker."""
        return pc.and_(self.text.is_valid(), self.values.is_null())

    @property
    def invalid_rows(self) -> pa.ChunkedArray:
        """True for each row that holds an invalid value."""
        return pc.and_(self.values.is_valid(), self.typed.is_null())


def _is_rounded(text: str) -> bool:
    number = text.replace(",", ".")
    return Decimal(number) != Decimal(repr(float(number)))


def has_option_columns(form_field: Field, rules: CleaningRules) -> bool:
    """Whether a field is cleaned as a checkbox; rules can give it another type."""
    return form_field.field_type == "checkbox" and form_field.field_name not in rules.types


def find_choices(
    form_field: Field, rules: CleaningRules, paired: Mapping[str, Sequence[Choice]]
) -> Sequence[Choice]:
    """Return the choices in which a field's codes are looked up; none if its text is cast.

    Args:
        form_field: The field.
        rules: How records become clean tables.
        paired: Choices of fields whose dictionary lists none; see `pair_labels`.
    """
    if form_field.field_name in rules.types:
        return ()
    if form_field.field_type in ("radio", "dropdown"):
        return form_field.choices
    return paired.get(form_field.field_name, ())


def read_cells(
    records: pa.Table,
    column: Column,
    project: REDCapProject,
    rules: CleaningRules,
    choices: Sequence[Choice],
) -> Cells:
    """Return the cells of a column: codes looked up in the choices if there are any, or cast."""
    text = get_text_column(records, column.name)
    values = read_values(text, column, project, rules)
    if choices:
        codes = [choice.code for choice in choices]
        return Cells(
            column, text, values, look_up_codes(values, codes, _choose_labels(choices, rules))
        )
    kind = find_type(column.field, project, rules)
    if kind is not None:
        return Cells(column, text, values, cast_text(values, kind))
    inference = infer_type(values)
    return Cells(
        column,
        text,
        values,
        cast_text(values, inference.kind),
        inferred="" if inference.kind is TEXT else inference.kind.name,
        merging="" if inference.merging is None else inference.merging.name,
    )


def read_values(
    text: pa.ChunkedArray, column: Column, project: REDCapProject, rules: CleaningRules
) -> pa.ChunkedArray:
    """Return the text of a column with missing markers and missing data codes null."""
    markers = [marker.code for marker in find_markers(column, project, rules)]
    if not markers:
        return text
    found = find_texts(text, markers)
    return pc.if_else(found, _NULL, text) if pc.any(found).as_py() else text


def read_checkbox(records: pa.Table, columns: Sequence[Column]) -> list[Cells]:
    """Return the cells of each option of a checkbox field.

    Where a missing data code is ticked, the field's own unticked options are missing, not false.
    """
    codes = missing_code_columns(columns)
    missing = [pc.equal(get_text_column(records, column.name), "1") for column in codes]
    options = []
    for column in columns:
        values = text = get_text_column(records, column.name)
        if missing and column not in codes:
            unticked = pc.and_kleene(reduce(pc.or_kleene, missing), pc.equal(text, "0"))
            values = pc.if_else(pc.fill_null(unticked, False), _NULL, text)
        options.append(Cells(column, text, values, cast_text(values, BOOLEAN)))
    return options


def drop_missing_code_options(options: Sequence[Cells]) -> list[Cells]:
    """Return the options of a checkbox without the project's missing data codes."""
    codes = missing_code_columns([option.column for option in options])
    return [option for option in options if option.column not in codes]


def find_missing_reasons(
    cells: Sequence[Cells], project: REDCapProject, rules: CleaningRules, asked: pa.BooleanArray
) -> pa.ChunkedArray:
    """Return the reason why a field does not have a value in a row; null where it has one.

    Args:
        cells: Cells of the field's columns.
        project: Structure of the project.
        rules: How records become clean tables.
        asked: Whether the field was asked in each row; null where that cannot be said.
    """
    own = drop_missing_code_options(cells)
    markers = [_read_markers(column_cells, project, rules) for column_cells in cells]
    no_row = pa.chunked_array([pa.repeat(False, len(cells[0].text))])
    invalid = reduce(pc.or_, [column_cells.invalid_rows for column_cells in own], no_row)
    has_value = reduce(pc.or_, [column_cells.typed.is_valid() for column_cells in own], no_row)
    blank = pc.if_else(asked, pa.scalar(_BLANK), pa.scalar(_NOT_ASKED))
    other = pc.if_else(invalid, pa.scalar(_INVALID), pc.fill_null(blank, _NOT_SAID))
    return pc.if_else(has_value, _NULL, pc.coalesce(*markers, other))


def get_text_column(records: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column, in one chunk if its chunks are small.

    Each chunk costs a call to Arrow, and threads that make short calls wait for each other.
    """
    column = records.column(name)
    if column.num_chunks > 1 and len(column) < _SMALL_CHUNK * column.num_chunks:
        return records.select([name]).combine_chunks().column(0)
    return column


def find_markers(column: Column, project: REDCapProject, rules: CleaningRules) -> list[Choice]:
    """Return the texts that mean a missing value in a column, with their labels.

    The status of an instrument and a checkbox do not have any: a marker 0 or 1 would erase what
    people ticked. A code of the field's own choices means that choice, also if the project has a
    missing data code of the same name.
    """
    if is_status_field(column.field) or column.field.field_type == "checkbox":
        return []
    if is_timestamp_field(column.field):
        return [Choice(NOT_COMPLETED, NOT_COMPLETED)]
    typed = [Choice(marker, marker) for marker in rules.missing_values]
    if "@NOMISSING" in column.field.field_annotation:
        return typed
    own = {choice.code for choice in column.field.choices}
    return [*typed, *(code for code in project.missing_data_codes if code.code not in own)]


def missing_code_columns(columns: Sequence[Column]) -> list[Column]:
    """Return the columns of a checkbox that stand for the project's missing data codes."""
    own = {choice.code for choice in columns[0].field.choices}
    return [column for column in columns if column.choice and column.choice.code not in own]


def _read_markers(cells: Cells, project: REDCapProject, rules: CleaningRules) -> pa.ChunkedArray:
    """Return the missing marker or missing data code of each row, as text; else null."""
    option = cells.column.choice
    if option is None:
        markers = {marker.code: marker for marker in find_markers(cells.column, project, rules)}
    else:
        markers = {"1": option} if missing_code_columns([cells.column]) else {}
    labels = [
        f"{label} ({code})" if label in _REASONS else label
        for code, label in zip(markers, _choose_labels(list(markers.values()), rules), strict=True)
    ]
    return look_up_codes(cells.text, list(markers), labels).cast(pa.string())


def _choose_labels(choices: Sequence[Choice], rules: CleaningRules) -> list[str]:
    """Return the code or the label of each choice, as the rules want it."""
    if rules.labels == "codes":
        return [choice.code for choice in choices]
    return [choice.label or choice.code for choice in choices]


def find_type(form_field: Field, project: REDCapProject, rules: CleaningRules) -> ColumnType | None:
    """Return the type by the rules or the dictionary; None where it is inferred."""
    name = rules.types.get(form_field.field_name)
    if name is not None:
        return TYPES[name]
    if form_field.field_name == project.info.secondary_unique_field:
        return TEXT  # an id, as the record id is
    # A BioPortal field is text with its ontology in the choices column: its values are codes.
    is_plain = (
        form_field.field_type == "text"
        and not form_field.validation
        and not form_field.select_choices_or_calculations
    )
    return None if is_plain and rules.infer_types else get_column_type(form_field)
