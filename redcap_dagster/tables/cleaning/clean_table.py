"""A records table, all text -> the same rows typed, missing markers null, choices labeled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeVar

import pyarrow as pa

from redcap_dagster.frames import Rows
from redcap_dagster.project import Choice, Column, Field, REDCapProject, StructureError
from redcap_dagster.project.columns import is_status_field
from redcap_dagster.project.system_columns import REPEAT_INSTANCE
from redcap_dagster.tables.cleaning.cells import (
    Cells,
    drop_missing_code_options,
    find_choices,
    find_missing_reasons,
    get_text_column,
    has_option_columns,
    read_cells,
    read_checkbox,
)
from redcap_dagster.tables.cleaning.column_types import INTEGER, cast_text
from redcap_dagster.tables.cleaning.labels import list_ticked_options, look_up_codes
from redcap_dagster.tables.cleaning.rules import CleaningRules
from redcap_dagster.tables.compatibility import check_columns, check_keys
from redcap_dagster.tables.logic import StudyRows
from redcap_dagster.tables.text_columns import read_text
from redcap_dagster.tables.threads import map_columns
from redcap_dagster.tables.visibility import find_asked

T = TypeVar("T")


@dataclass(frozen=True)
class CleanTable:
    """A clean table and counts by column of what was nulled or inferred; zeros are left out.

    Attributes:
        table: The rows of the records table, in the same order.
        replaced: Count of cells nulled because they held a missing marker.
        invalid: Count of cells nulled because their value is invalid: not of the column's type, or
            not one of its choices.
        inferred: Name of the type of each column whose type was inferred from its values.
        merging: Name of the type of number that was not inferred for each text column, as different
            texts would become one number or could not be restored.
        leading_zeros: Count of values that lose leading zeros as integers.
        rounded: Count of numbers with more digits than a double can hold.
        invalid_rows: Rows with an invalid value, of each column that has any; see
            `list_invalid_values`.
        replaced_rows: Rows that held a missing marker, of each column that has any.
    """

    table: pa.Table = field(repr=False)
    replaced: Mapping[str, int]
    invalid: Mapping[str, int]
    inferred: Mapping[str, str]
    merging: Mapping[str, str] = field(default_factory=dict)
    leading_zeros: Mapping[str, int] = field(default_factory=dict)
    rounded: Mapping[str, int] = field(default_factory=dict)
    invalid_rows: Mapping[str, pa.ChunkedArray] = field(default_factory=dict, repr=False)
    replaced_rows: Mapping[str, pa.ChunkedArray] = field(default_factory=dict, repr=False)


def clean(
    records: Rows,
    instrument: str,
    project: REDCapProject,
    rules: CleaningRules,
    *,
    paired: Mapping[str, Sequence[Choice]] | None = None,
    study: StudyRows | None = None,
) -> CleanTable:
    """Return the typed and cleaned records of one instrument.

    Args:
        records: Records of the instrument, as `split_by_instrument` returns them. A DataFrame, an
            Arrow table, or an object that offers the Arrow C stream.
        instrument: Name of the instrument.
        project: Structure of the project; types and choices come from its dictionary.
        rules: Treatment of missing markers, choices and fields without a type.
        paired: Choices of fields whose dictionary lists none; see `pair_labels`. Defaults to none.
        study: The rows of all instruments, with these records among them, in which the reasons for
            missing values look up what branching logic refers to. Defaults to these records alone.

    Returns:
        The clean table. Keys are text, except the arm and the instance, which are integers. Counts
        go by the columns of the export.

    Raises:
        StructureError: The records have the columns of another structure or columns that are not
            text, or the rules lead to two columns of the same name.
        TypeError: The records are not a table.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "age", "form_name": "a",
        ...      "text_validation_type_or_show_slider_number": "integer"}])
        >>> records = pa.table({"id": ["1", "2"], "age": ["41", "?"], "a_complete": ["2", "2"]})
        >>> clean(records, "a", project, CleaningRules()).table["age"].to_pylist()
        [41, None]
    """
    text = read_text(records)
    check_keys(text, project, instrument)
    check_columns(text, project, instrument)
    keys: dict[str, pa.ChunkedArray] = {}
    for name in (*project.key_columns(instrument), *project.context_columns):
        keys[name] = get_text_column(text, name)
        if name == REPEAT_INSTANCE:
            keys[name] = cast_text(keys[name], INTEGER)
    groups = groupby(project.columns(instrument), key=lambda column: column.field)
    fields = [(form_field, tuple(columns)) for form_field, columns in groups]

    asked: Mapping[str, pa.BooleanArray] = {}
    if rules.missing_reasons:
        asked = find_asked(study or StudyRows(project, {instrument: text}), instrument)

    def clean_field(form_field: tuple[Field, tuple[Column, ...]]) -> CleanTable:
        return _clean_field(text, *form_field, project, rules, paired or {}, asked)

    cleaned = map_columns(clean_field, fields, text.num_rows)
    tables = [pa.table(keys), *(part.table for part in cleaned)]
    names = [name for table in tables for name in table.column_names]
    duplicates = sorted(name for name, count in Counter(names).items() if count > 1)
    if duplicates:
        raise StructureError(
            f"The clean table of {instrument!r} would have two columns named {duplicates}. A field "
            "has the same name as another field's codes, list or missing reasons. Set labels to "
            "'labels' or 'codes', checkboxes to 'columns', or missing_reasons to False."
        )
    return CleanTable(
        pa.table([column for table in tables for column in table.columns], names),
        replaced=_merge([part.replaced for part in cleaned]),
        invalid=_merge([part.invalid for part in cleaned]),
        inferred=_merge([part.inferred for part in cleaned]),
        merging=_merge([part.merging for part in cleaned]),
        leading_zeros=_merge([part.leading_zeros for part in cleaned]),
        rounded=_merge([part.rounded for part in cleaned]),
        invalid_rows=_merge([part.invalid_rows for part in cleaned]),
        replaced_rows=_merge([part.replaced_rows for part in cleaned]),
    )


def _merge(parts: Sequence[Mapping[str, T]]) -> dict[str, T]:
    """Return the entries of all mappings."""
    return {name: value for part in parts for name, value in part.items()}


def _clean_field(
    records: pa.Table,
    form_field: Field,
    columns: tuple[Column, ...],
    project: REDCapProject,
    rules: CleaningRules,
    paired: Mapping[str, Sequence[Choice]],
    asked: Mapping[str, pa.BooleanArray],
) -> CleanTable:
    """Return the part of a clean table that one field has."""
    choices = find_choices(form_field, rules, paired)
    if has_option_columns(form_field, rules):
        cells = read_checkbox(records, columns)
    else:
        cells = [read_cells(records, column, project, rules, choices) for column in columns]
    replaced = [each for each in cells if each.replaced]
    invalid = [each for each in cells if each.invalid]
    zeros = {each.column.name: each.leading_zeros for each in cells}
    rounded = {each.column.name: each.rounded for each in cells}
    return CleanTable(
        pa.table(_build_columns(form_field, cells, choices, project, rules, asked)),
        replaced={each.column.name: each.replaced for each in replaced},
        invalid={each.column.name: each.invalid for each in invalid},
        inferred={each.column.name: each.inferred for each in cells if each.inferred},
        merging={each.column.name: each.merging for each in cells if each.merging},
        leading_zeros={name: count for name, count in zeros.items() if count},
        rounded={name: count for name, count in rounded.items() if count},
        invalid_rows={each.column.name: each.invalid_rows for each in invalid},
        replaced_rows={each.column.name: each.replaced_rows for each in replaced},
    )


def _build_columns(
    form_field: Field,
    cells: Sequence[Cells],
    choices: Sequence[Choice],
    project: REDCapProject,
    rules: CleaningRules,
    asked: Mapping[str, pa.BooleanArray],
) -> dict[str, pa.ChunkedArray]:
    """Return the columns that a field has in the clean table, by the rules."""
    name = form_field.field_name
    if has_option_columns(form_field, rules) and rules.checkboxes == "lists":
        columns = _build_lists(name, drop_missing_code_options(cells), rules)
    else:
        columns = {each.column.name: each.typed for each in cells}
        if choices and rules.labels == "both":
            codes = [choice.code for choice in choices]
            columns[f"{name}_code"] = look_up_codes(cells[0].values, codes, codes)
    if rules.missing_reasons and not is_status_field(form_field):
        columns[f"{name}_missing"] = find_missing_reasons(cells, project, rules, asked[name])
    return columns


def _build_lists(
    name: str, options: Sequence[Cells], rules: CleaningRules
) -> dict[str, pa.ChunkedArray]:
    """Return the list columns of a checkbox field, with labels, codes or both."""
    ticked = [option.typed for option in options]
    if not ticked:
        return {}
    choices = [option.column.choice for option in options if option.column.choice]
    codes = [choice.code for choice in choices]
    labels = [choice.label or choice.code for choice in choices]
    match rules.labels:
        case "labels":
            return {name: list_ticked_options(ticked, labels)}
        case "codes":
            return {name: list_ticked_options(ticked, codes)}
        case "both":
            return {
                name: list_ticked_options(ticked, labels),
                f"{name}_code": list_ticked_options(ticked, codes),
            }
