"""Required fields without a value, and codes that share a label: counts, never values."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Choice, Column, Field, REDCapProject
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.tables.cleaning.cells import find_choices, get_text_column, has_option_columns
from redcap_dagster.tables.cleaning.rules import CleaningRules

_COMPLETE = "2"


def choice_columns(instrument: str, project: REDCapProject, rules: CleaningRules) -> frozenset[str]:
    """Return the columns of an instrument's export whose codes are looked up in choices.

    Args:
        instrument: Name of the instrument.
        project: Structure of the project.
        rules: Rules of the clean table.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "sex", "form_name": "a", "field_type": "radio",
        ...      "select_choices_or_calculations": "0, F | 1, M"}])
        >>> sorted(choice_columns("a", project, CleaningRules()))
        ['a_complete', 'sex']
    """
    fields = project.instrument_fields(instrument)
    return frozenset(field.field_name for field in fields if find_choices(field, rules, {}))


def count_merged_codes(
    records: pa.Table, instrument: str, project: REDCapProject, rules: CleaningRules
) -> Mapping[str, int]:
    """Return how many codes in the records become one value with another code, by field.

    A clean table with labels has one value for two codes with the same label.

    Args:
        records: Records of the instrument, as text.
        instrument: Name of the instrument.
        project: Structure of the project.
        rules: Rules of the clean table.

    Returns:
        Count by field; fields whose codes stay apart are left out.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "sex", "form_name": "a", "field_type": "radio",
        ...      "select_choices_or_calculations": "0, F | 1, M | 9, M"}])
        >>> records = pa.table({"sex": ["1", "9", "0"], "a_complete": ["2", "2", "2"]})
        >>> count_merged_codes(records, "a", project, CleaningRules())
        {'sex': 2}
    """
    if rules.labels != "labels":
        return {}
    counts: dict[str, int] = {}
    for field, columns in groupby(project.columns(instrument), key=lambda column: column.field):
        labels = Counter(
            choice.label or choice.code
            for choice in _find_used_choices(records, field, list(columns), rules)
        )
        merged = sum(count for count in labels.values() if count > 1)
        if merged:
            counts[field.field_name] = merged
    return counts


def _find_used_choices(
    records: pa.Table, field: Field, columns: Sequence[Column], rules: CleaningRules
) -> list[Choice]:
    """Return the choices in the records that the clean table holds as labels."""
    if has_option_columns(field, rules):
        if rules.checkboxes != "lists":
            return []
        ticked = [
            column
            for column in columns
            if pc.any(pc.equal(get_text_column(records, column.name), "1")).as_py()
        ]
        codes = {column.choice.code for column in ticked if column.choice}
        return [choice for choice in field.choices if choice.code in codes]
    choices = find_choices(field, rules, {})
    if not choices:
        return []
    codes = pa.array([choice.code for choice in choices], pa.string())
    used = pc.is_in(codes, get_text_column(records, field.field_name).unique())
    return [choice for choice, is_used in zip(choices, used, strict=True) if is_used.as_py()]


def count_blank_required(
    records: pa.Table, instrument: str, project: REDCapProject, hidden: Collection[str] = ()
) -> Mapping[str, int]:
    """Return how many rows are marked Complete although a required field is blank, by field.

    Fields with branching logic are not counted, as they may not have been shown. Any entry fills a
    field, also a missing data code; a checkbox needs a ticked option.

    Args:
        records: Records of the instrument, as text.
        instrument: Name of the instrument.
        project: Structure of the project.
        hidden: Columns that export rights hide, whose values are unknown. Defaults to none.

    Returns:
        Count by field; fields without blanks are left out.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "age", "form_name": "a", "required_field": "y"}])
        >>> records = pa.table({"age": ["4", None], "a_complete": ["2", "2"]})
        >>> count_blank_required(records, "a", project)
        {'age': 1}
    """
    complete = pc.fill_null(
        pc.equal(get_text_column(records, status_column(instrument)), _COMPLETE), False
    )
    counts: dict[str, int] = {}
    for field, columns in groupby(project.columns(instrument), key=lambda column: column.field):
        shown = [column for column in columns if column.name not in hidden]
        if not is_required(field) or not shown:
            continue
        blank = complete
        for column in shown:
            blank = pc.and_(blank, _is_blank(records, column))
        count = pc.sum(blank, min_count=0).as_py()
        if count:
            counts[field.field_name] = int(count)
    return counts


def is_required(field: Field) -> bool:
    """Return whether a field is required and always shown, without branching logic.

    Example:
        >>> is_required(Field("age", "visit", required_field="y"))
        True
    """
    return field.is_required and not field.branching_logic.strip()


def _is_blank(records: pa.Table, column: Column) -> pa.ChunkedArray:
    """Return True for each row without an entry in a column."""
    text = get_text_column(records, column.name)
    if column.choice is None:
        return text.is_null()
    return pc.fill_null(pc.not_equal(text, "1"), True)
