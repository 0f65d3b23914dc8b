"""A table of records, all text -> the same rows typed, missing markers nulled, choices labelled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, groupby

import pyarrow as pa

from redcap_dagster.project import Choice, Column, Field, REDCapProject, StructureError
from redcap_dagster.project.system_columns import REPEAT_INSTANCE, status_column
from redcap_dagster.tables.cells import (
    Cells,
    choices_of,
    has_boxes,
    missing_reasons,
    own_boxes,
    read_boxes,
    read_cells,
    text_column,
)
from redcap_dagster.tables.cleaning_rules import CleaningRules
from redcap_dagster.tables.compatibility import check_columns, check_keys
from redcap_dagster.tables.labels import looked_up, ticked_list
from redcap_dagster.tables.types import INTEGER, cast_text


@dataclass(frozen=True)
class CleanTable:
    """A clean table and what was done to get it, by column; columns without any are left out.

    Attributes:
        table: The rows of the records table, in its order.
        replaced: Count of cells nulled because they say that a value is missing.
        invalid: Count of cells nulled because their value does not fit the column's type.
        inferred: Name of the type of each column whose type was inferred from its values.
        invalid_rows: Rows with an invalid value, of each column that has any; see
            `list_invalid_values`.
    """

    table: pa.Table = field(repr=False)
    replaced: Mapping[str, int]
    invalid: Mapping[str, int]
    inferred: Mapping[str, str]
    invalid_rows: Mapping[str, pa.ChunkedArray] = field(default_factory=dict, repr=False)


def clean(
    records: pa.Table,
    instrument: str,
    project: REDCapProject,
    rules: CleaningRules,
    *,
    paired: Mapping[str, Sequence[Choice]] | None = None,
) -> CleanTable:
    """Type and clean the records of one instrument.

    Args:
        records: A table as `split_by_instrument` gives it.
        instrument: The name of the form.
        project: The structure: types and choices come from its dictionary.
        rules: What to do with missing markers, choices and fields without a type.
        paired: Choices of fields whose dictionary lists none; see `pair_labels`.

    Returns:
        The clean table. Keys keep their text, but for the arm and the instance, which are integers.
        Counts go by the columns of the export.

    Raises:
        StructureError: The records are not of this structure, or a column that the rules ask for
            has the name of another column.
    """
    check_keys(records, project, instrument)
    check_columns(records, project, instrument)
    keys: dict[str, pa.ChunkedArray] = {}
    for name in (*project.key_columns(instrument), *project.context_columns):
        keys[name] = text_column(records, name)
        if name == REPEAT_INSTANCE:
            keys[name] = cast_text(keys[name], INTEGER)
    groups = groupby(project.columns(instrument), key=lambda column: column.field)
    fields = [(form_field, tuple(columns)) for form_field, columns in groups]

    def clean_field(form_field: tuple[Field, tuple[Column, ...]]) -> CleanTable:
        return _clean_field(records, *form_field, project, rules, paired or {})

    # Arrow works without holding the interpreter, so that threads are worth it.
    with ThreadPoolExecutor(pa.cpu_count()) as threads:
        cleaned = list(threads.map(clean_field, fields))
    tables = [pa.table(keys), *(one.table for one in cleaned)]
    names = [name for table in tables for name in table.column_names]
    twins = sorted(name for name, count in Counter(names).items() if count > 1)
    if twins:
        raise StructureError(
            f"In {instrument!r} the rules ask for the columns {twins} twice: a field has the name "
            "of another one's codes, list or missing reasons. Ask for one kind of labels, for "
            "checkbox columns, or for no missing reasons."
        )
    return CleanTable(
        pa.table([column for table in tables for column in table.columns], names),
        dict(chain.from_iterable(one.replaced.items() for one in cleaned)),
        dict(chain.from_iterable(one.invalid.items() for one in cleaned)),
        dict(chain.from_iterable(one.inferred.items() for one in cleaned)),
        dict(chain.from_iterable(one.invalid_rows.items() for one in cleaned)),
    )


def _clean_field(
    records: pa.Table,
    form_field: Field,
    columns: tuple[Column, ...],
    project: REDCapProject,
    rules: CleaningRules,
    paired: Mapping[str, Sequence[Choice]],
) -> CleanTable:
    """Give the part of a clean table that is of one field."""
    choices = choices_of(form_field, rules, paired)
    if has_boxes(form_field, rules):
        cells = read_boxes(records, columns)
    else:
        cells = [read_cells(records, column, project, rules, choices) for column in columns]
    unfit = [one for one in cells if one.invalid]
    return CleanTable(
        pa.table(_asked_columns(form_field, cells, choices, project, rules)),
        {one.column.name: one.replaced for one in cells if one.replaced},
        {one.column.name: one.invalid for one in unfit},
        {one.column.name: one.inferred for one in cells if one.inferred},
        {one.column.name: one.invalid_rows for one in unfit},
    )


def _asked_columns(
    form_field: Field,
    cells: Sequence[Cells],
    choices: Sequence[Choice],
    project: REDCapProject,
    rules: CleaningRules,
) -> dict[str, pa.ChunkedArray]:
    """Give the columns that a field has in the clean table."""
    name = form_field.field_name
    if has_boxes(form_field, rules) and rules.checkboxes == "lists":
        columns = _lists(name, own_boxes(cells), rules)
    else:
        columns = {one.column.name: one.typed for one in cells}
        if choices and rules.labels == "both":
            codes = [choice.code for choice in choices]
            columns[f"{name}_code"] = looked_up(cells[0].left, codes, codes)
    if rules.missing_reasons and name != status_column(form_field.form_name):
        columns[f"{name}_missing"] = missing_reasons(cells, project, rules)
    return columns


def _lists(name: str, boxes: Sequence[Cells], rules: CleaningRules) -> dict[str, pa.ChunkedArray]:
    ticked = [box.typed for box in boxes]
    choices = [box.column.choice for box in boxes if box.column.choice]
    codes = [choice.code for choice in choices]
    labels = [choice.label or choice.code for choice in choices]
    match rules.labels:
        case "labels":
            return {name: ticked_list(ticked, labels)}
        case "codes":
            return {name: ticked_list(ticked, codes)}
        case "both":
            return {name: ticked_list(ticked, labels), f"{name}_code": ticked_list(ticked, codes)}
