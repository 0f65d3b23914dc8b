"""The cells of one field in three stages: as sent, without what says missing, typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import NOT_COMPLETED, Choice, Column, Field, REDCapProject
from redcap_dagster.project.system_columns import status_column, timestamp_column
from redcap_dagster.tables.cleaning_rules import CleaningRules
from redcap_dagster.tables.labels import looked_up
from redcap_dagster.tables.types import (
    BOOLEAN,
    TEXT,
    TYPES,
    ColumnType,
    cast_text,
    get_column_type,
    infer_type,
)

_NULL = pa.scalar(None, pa.string())


@dataclass(frozen=True)
class Cells:
    """One export column.

    Attributes:
        text: As it was sent, blanks null.
        left: The same without what says that a value is missing.
        typed: What is left, typed; what does not fit is null.
        inferred: The name of the type if it was inferred from the values.
    """

    column: Column
    text: pa.ChunkedArray = field(repr=False)
    left: pa.ChunkedArray = field(repr=False)
    typed: pa.ChunkedArray = field(repr=False)
    inferred: str = ""

    @property
    def replaced(self) -> int:
        """How many cells said that a value is missing."""
        return int(self.left.null_count - self.text.null_count)

    @property
    def invalid(self) -> int:
        """How many cells hold what does not fit."""
        return int(self.typed.null_count - self.left.null_count)

    @property
    def invalid_rows(self) -> pa.ChunkedArray:
        """Which rows hold what does not fit."""
        return pc.and_(self.left.is_valid(), self.typed.is_null())


def has_boxes(form_field: Field, rules: CleaningRules) -> bool:
    """Whether a field is kept as the boxes of a checkbox; rules can give it another type."""
    return form_field.field_type == "checkbox" and form_field.field_name not in rules.types


def choices_of(
    form_field: Field, rules: CleaningRules, paired: Mapping[str, Sequence[Choice]]
) -> Sequence[Choice]:
    """Give the choices that the one column of a field is looked up in; none if it is cast."""
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
    """Read the one column of a field: cast it, or look its codes up among choices."""
    text = text_column(records, column.name)
    markers = [marker.code for marker in markers_of(column, project, rules)]
    left = text
    if len(markers) == 1:
        left = pc.if_else(pc.equal(text, markers[0]), _NULL, text)  # much faster than a look-up
    elif markers:
        left = pc.if_else(pc.is_in(text, pa.array(markers, pa.string())), _NULL, text)
    if choices:
        codes = [choice.code for choice in choices]
        return Cells(column, text, left, looked_up(left, codes, _shown(choices, rules)))
    kind = _type_of(column.field, rules)
    if kind is not None:
        return Cells(column, text, left, cast_text(left, kind))
    kind = infer_type(left)
    return Cells(column, text, left, cast_text(left, kind), "" if kind is TEXT else kind.name)


def read_boxes(records: pa.Table, columns: Sequence[Column]) -> list[Cells]:
    """Read the boxes of a checkbox field.

    Where a box of a missing data code is ticked, the unticked boxes of the field's own options say
    nothing: they are missing, not false.
    """
    codes = missing_code_columns(columns)
    missing = [pc.equal(text_column(records, column.name), "1") for column in codes]
    boxes = []
    for column in columns:
        left = text = text_column(records, column.name)
        if missing and column not in codes:
            unticked = pc.and_kleene(reduce(pc.or_kleene, missing), pc.equal(text, "0"))
            left = pc.if_else(pc.fill_null(unticked, False), _NULL, text)
        boxes.append(Cells(column, text, left, cast_text(left, BOOLEAN)))
    return boxes


def own_boxes(boxes: Sequence[Cells]) -> list[Cells]:
    """Leave out the boxes of the project's missing data codes."""
    codes = missing_code_columns([box.column for box in boxes])
    return [box for box in boxes if box.column not in codes]


def missing_reasons(
    cells: Sequence[Cells], project: REDCapProject, rules: CleaningRules
) -> pa.ChunkedArray:
    """Say why a field has no value in a row; null where it has one."""
    own = own_boxes(cells)
    said = [_said_missing(one, project, rules) for one in cells]
    unfit = reduce(pc.or_, [one.invalid_rows for one in own])
    valued = reduce(pc.or_, [one.typed.is_valid() for one in own])
    other = pc.if_else(unfit, pa.scalar("unfit"), pa.scalar("blank"))
    return pc.if_else(valued, _NULL, pc.coalesce(*said, other))


def text_column(records: pa.Table, name: str) -> pa.ChunkedArray:
    """Give a column in pieces that are worth a call each."""
    column = records.column(name)
    if len(column) < 10_000 * (column.num_chunks - 1):
        # The rows of a wide project come in many small pieces, each of which would cost its call.
        return records.select([name]).combine_chunks().column(0)
    return column


def markers_of(column: Column, project: REDCapProject, rules: CleaningRules) -> list[Choice]:
    """The texts that mean missing in a column.

    A form status is REDCap's own and has none. Nor has a checkbox, which holds 0 or 1: a marker
    that is one of these would wipe what people ticked.
    """
    form = column.field.form_name
    if column.name == status_column(form) or column.field.field_type == "checkbox":
        return []
    if column.name == timestamp_column(form):
        return [Choice(NOT_COMPLETED, NOT_COMPLETED)]
    typed = [Choice(marker, marker) for marker in rules.missing_values]
    if "@NOMISSING" in column.field.field_annotation:
        return typed
    return [*typed, *project.missing_data_codes]


def missing_code_columns(columns: Sequence[Column]) -> list[Column]:
    """Give the boxes of a checkbox that are of the project's missing data codes."""
    own = {choice.code for choice in columns[0].field.choices}
    return [column for column in columns if column.choice and column.choice.code not in own]


def _said_missing(cells: Cells, project: REDCapProject, rules: CleaningRules) -> pa.ChunkedArray:
    """Give what says that a value is missing: the marker, or the missing data code."""
    box = cells.column.choice
    if box is None:
        said = {marker.code: marker for marker in markers_of(cells.column, project, rules)}
    else:
        said = {"1": box} if missing_code_columns([cells.column]) else {}
    shown = _shown(list(said.values()), rules)
    return looked_up(cells.text, list(said), shown).cast(pa.string())


def _shown(choices: Sequence[Choice], rules: CleaningRules) -> list[str]:
    if rules.labels == "codes":
        return [choice.code for choice in choices]
    return [choice.label or choice.code for choice in choices]


def _type_of(form_field: Field, rules: CleaningRules) -> ColumnType | None:
    """Give the type that rules or dictionary say; None where it is to be inferred."""
    asked = rules.types.get(form_field.field_name)
    if asked is not None:
        return TYPES[asked]
    # A BioPortal field is text whose ontology stands in the choices column: its values are codes.
    plain = (
        form_field.field_type == "text"
        and not form_field.validation
        and not form_field.select_choices_or_calculations
    )
    return None if plain and rules.infer_types else get_column_type(form_field)
