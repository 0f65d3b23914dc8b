"""A table of records, all text -> the same rows typed, missing markers nulled, choices labelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import (
    NOT_COMPLETED,
    Choice,
    Column,
    REDCapProject,
    StructureError,
)
from redcap_dagster.tables.types import (
    INTEGER,
    TEXT,
    TYPES,
    ColumnType,
    cast_text,
    infer_type,
    type_of,
)


@dataclass(frozen=True)
class CleaningRules:
    """How records become clean tables.

    Attributes:
        missing_values: Markers that people type for a missing value; in `clean` they are null. A
            value is a marker if it equals one, to the letter. The project's own missing data codes
            always count as markers.
        labels: What a radio or dropdown column holds: the choice's label, its code, or both (the
            code then in a second column, ``FIELD_code``).
        infer_types: Whether a text field without validation becomes integer or double where all
            its values are plain numbers.
        types: Field name to ``text``, ``integer``, ``double``, ``boolean``, ``date``, ``datetime``
            or ``time``: overrules the dictionary and the inference.
        keep_unsaved: Keep rows of forms that were never saved; see `split_by_instrument`.

    Example:
        >>> CleaningRules(missing_values=["?", "n/a"], types={"zip": "text"}).missing_values
        ('?', 'n/a')
    """

    missing_values: Sequence[str] = ("?",)
    labels: Literal["labels", "codes", "both"] = "labels"
    infer_types: bool = True
    types: Mapping[str, str] = field(default_factory=dict)
    keep_unsaved: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.missing_values, str):
            raise TypeError(
                "missing_values is a list of markers, such as ['?']; got a single text."
            )
        if self.labels not in ("labels", "codes", "both"):
            raise ValueError("labels is 'labels', 'codes' or 'both'.")
        unknown = sorted(set(self.types.values()) - TYPES.keys())
        if unknown:
            raise ValueError(f"types: {unknown} are no types; the types are {sorted(TYPES)}.")
        object.__setattr__(self, "missing_values", tuple(self.missing_values))
        object.__setattr__(self, "types", dict(self.types))


@dataclass(frozen=True)
class CleanTable:
    """A clean table and what was done to get it, by column; columns without any are left out.

    Attributes:
        table: The rows of the records table, in its order.
        replaced: Count of cells nulled because they held a missing marker.
        unfit: Count of cells nulled because their value does not fit the column's type.
        inferred: Name of the type of each column whose type was inferred from its values.
    """

    table: pa.Table = field(repr=False)
    replaced: Mapping[str, int]
    unfit: Mapping[str, int]
    inferred: Mapping[str, str]


def clean(
    records: pa.Table, instrument: str, project: REDCapProject, rules: CleaningRules
) -> CleanTable:
    """Type and clean the records of one instrument.

    Args:
        records: A table as `split_by_instrument` gives it.
        instrument: The name of the form.
        project: The structure: types and choices come from its dictionary.
        rules: What to do with missing markers, choices and fields without a type.

    Returns:
        The clean table. Keys keep their text, but for the arm and the instance, which are integers.

    Raises:
        StructureError: A column of codes that the rules ask for has the name of another column.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    replaced: dict[str, int] = {}
    unfit: dict[str, int] = {}
    inferred: dict[str, str] = {}
    for name in (*project.key_columns(instrument), *project.context_columns):
        columns[name] = _column(records, name)
        if name == "redcap_repeat_instance":
            columns[name] = cast_text(columns[name], INTEGER)
    for column in project.columns(instrument):
        text = _column(records, column.name)
        values = _without_markers(text, _markers(column, project, rules))
        kind = _type_of(column, rules)
        if kind is None:
            kind = infer_type(values)
            if kind is not TEXT:
                inferred[column.name] = kind.name
        typed = _typed(column, values, kind, rules)
        twins = sorted(columns.keys() & typed.keys())
        if twins:
            raise StructureError(
                f"The column of codes {twins} has the name of another column of {instrument!r}. "
                "Ask for labels or for codes rather than for both."
            )
        columns.update(typed)
        _count(replaced, column.name, text, values)
        _count(unfit, column.name, values, typed[column.name])
    return CleanTable(pa.table(columns), replaced, unfit, inferred)


def _column(records: pa.Table, name: str) -> pa.ChunkedArray:
    """Give a column; all null where the records were stored before REDCap had the field."""
    if name in records.column_names:
        return records.column(name)
    return pa.chunked_array([pa.nulls(records.num_rows, pa.string())])


def _markers(column: Column, project: REDCapProject, rules: CleaningRules) -> list[str]:
    """The texts that mean missing in a column.

    A form status is REDCap's own and has none. Nor has a checkbox, which holds 0 or 1: a marker
    that is one of these would wipe what people ticked.
    """
    form = column.field.form_name
    if column.name == f"{form}_complete" or column.field.field_type == "checkbox":
        return []
    if column.name == f"{form}_timestamp":
        return [NOT_COMPLETED]
    return [*rules.missing_values, *(choice.code for choice in project.missing_data_codes)]


def _without_markers(text: pa.ChunkedArray, markers: list[str]) -> pa.ChunkedArray:
    if not markers:
        return text
    marked = pc.is_in(text, pa.array(markers, pa.string()))
    return pc.if_else(marked, pa.scalar(None, pa.string()), text)


def _type_of(column: Column, rules: CleaningRules) -> ColumnType | None:
    """Give the type that rules or dictionary say; None where it is to be inferred."""
    asked = rules.types.get(column.field.field_name)
    if asked is not None:
        return TYPES[asked]
    # A BioPortal field is text whose ontology stands in the choices column: its values are codes.
    plain = (
        column.field.field_type == "text"
        and not column.field.validation
        and not column.field.select_choices_or_calculations
    )
    return None if plain and rules.infer_types else type_of(column.field)


def _typed(
    column: Column, values: pa.ChunkedArray, kind: ColumnType, rules: CleaningRules
) -> dict[str, pa.ChunkedArray]:
    """Cast a column, or look its codes up among the choices; a code that is none does not fit."""
    choices = column.field.choices if column.field.field_type in ("radio", "dropdown") else ()
    if not choices or column.field.field_name in rules.types:
        return {column.name: cast_text(values, kind)}
    labels = _looked_up(values, choices, [choice.label or choice.code for choice in choices])
    codes = _looked_up(values, choices, [choice.code for choice in choices])
    match rules.labels:
        case "labels":
            return {column.name: labels}
        case "codes":
            return {column.name: codes}
        case "both":
            return {column.name: labels, f"{column.name}_code": codes}


def _looked_up(
    codes: pa.ChunkedArray, choices: tuple[Choice, ...], values: list[str]
) -> pa.ChunkedArray:
    """Give a dictionary-encoded column; two choices with one label share its entry."""
    distinct = list(dict.fromkeys(values))
    entry = pa.array([distinct.index(value) for value in values], pa.int32())
    known = pa.array([choice.code for choice in choices], pa.string())
    kind = pa.dictionary(pa.int32(), pa.string())
    return pa.chunked_array(
        [
            pa.DictionaryArray.from_arrays(
                entry.take(pc.index_in(chunk, known)), pa.array(distinct, pa.string())
            )
            for chunk in codes.chunks
        ],
        kind,
    )


def _count(
    counts: dict[str, int], column: str, before: pa.ChunkedArray, after: pa.ChunkedArray
) -> None:
    nulled = after.null_count - before.null_count
    if nulled:
        counts[column] = nulled
