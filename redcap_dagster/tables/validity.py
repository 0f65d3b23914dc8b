"""Whether the values of a form are what the dictionary asks for: counts by field, never values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Column, Field, REDCapProject
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.tables.cells import choices_of, text_column
from redcap_dagster.tables.cleaning_rules import CleaningRules
from redcap_dagster.tables.types import (
    DATE,
    DATETIME,
    DOUBLE_COMMA,
    TIME,
    cast_text,
    get_column_type,
)

_LIMIT_TYPES = {
    pa.int64(): DOUBLE_COMMA,
    pa.float64(): DOUBLE_COMMA,
    pa.date32(): DATE,
    pa.timestamp("us"): DATETIME,
    pa.time64("us"): TIME,
}
_WITH_LIMITS = ("text", "slider")
_COMPLETE = "2"


def choice_columns(form: str, project: REDCapProject, rules: CleaningRules) -> frozenset[str]:
    """Name the columns of a form's export whose values are looked up among choices.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "sex", "form_name": "a", "field_type": "radio",
        ...      "select_choices_or_calculations": "0, F | 1, M"}])
        >>> sorted(choice_columns("a", project, CleaningRules()))
        ['a_complete', 'sex']
    """
    fields = project.form_fields(form)
    return frozenset(field.field_name for field in fields if choices_of(field, rules, {}))


@dataclass(frozen=True)
class Ranges:
    """How the values of a form stand to the limits of the dictionary.

    Attributes:
        outside: Field to the count of its values that are below its minimum or above its maximum.
        unevaluated: Field to those of its limits that were not evaluated, such as ``max today``.
    """

    outside: Mapping[str, int]
    unevaluated: Mapping[str, str]


def check_ranges(cleaned: pa.Table, form: str, project: REDCapProject) -> Ranges:
    """Hold the values of a form to the minimum and maximum that the dictionary has for them.

    Not evaluated are limits that are no value by themselves (``today``, ``now``, ``[field]``), or
    that are not of the column's type, and those of a column that is text.

    Args:
        cleaned: The clean table.
        form: The name of the instrument.
        project: The structure.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "age", "form_name": "a", "text_validation_min": "18",
        ...      "text_validation_max": "[oldest]"}])
        >>> check_ranges(pa.table({"id": ["1", "2"], "age": [17, 18]}), "a", project)
        Ranges(outside={'age': 1}, unevaluated={'age': 'max [oldest]'})
    """
    outside: dict[str, int] = {}
    unknown: dict[str, str] = {}
    for field in project.form_fields(form):
        limits = {"min": field.text_validation_min, "max": field.text_validation_max}
        limits = {end: limit.strip() for end, limit in limits.items() if limit.strip()}
        if not limits or field.field_type not in _WITH_LIMITS:
            continue
        values = cleaned[field.field_name]
        known = {end: _limit(limit, field, values.type) for end, limit in limits.items()}
        left_open = [f"{end} {limits[end]}" for end, limit in known.items() if not limit.is_valid]
        if left_open:
            unknown[field.field_name] = ", ".join(left_open)
        count = _count_outside(values, known)
        if count:
            outside[field.field_name] = count
    return Ranges(outside, unknown)


def _limit(text: str, field: Field, kind: pa.DataType) -> pa.Scalar:
    """Read a limit as a value of a column's type; null where it is none."""
    grammar = _LIMIT_TYPES.get(kind)
    if grammar is None:
        return pa.scalar(None, kind)
    if get_column_type(field).arrow == kind == TIME.arrow:
        grammar = get_column_type(field)  # a time of minutes and seconds reads differently
    return cast_text(pa.chunked_array([[text]]), grammar)[0]


def _count_outside(values: pa.ChunkedArray, limits: Mapping[str, pa.Scalar]) -> int:
    wrong = pa.chunked_array([pa.repeat(False, len(values))])
    if "min" in limits and limits["min"].is_valid:
        wrong = pc.or_(wrong, pc.fill_null(pc.less(values, limits["min"]), False))
    if "max" in limits and limits["max"].is_valid:
        wrong = pc.or_(wrong, pc.fill_null(pc.greater(values, limits["max"]), False))
    return int(pc.sum(wrong, min_count=0).as_py())


def count_blank_required(
    records: pa.Table, form: str, project: REDCapProject, hidden: Collection[str] = ()
) -> Mapping[str, int]:
    """Count the rows whose form is Complete while a required field is blank.

    Fields with branching logic are left out, as nobody may have been asked. Whatever was entered
    fills a field, a missing data code too; of a checkbox, a box has to be ticked.

    Args:
        records: The records of the form, as text.
        form: The name of the instrument.
        project: The structure.
        hidden: Columns that export rights keep back: what they hold is unknown.

    Returns:
        Field to count; fields that are filled are left out.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "age", "form_name": "a", "required_field": "y"}])
        >>> records = pa.table({"age": ["4", None], "a_complete": ["2", "2"]})
        >>> count_blank_required(records, "a", project)
        {'age': 1}
    """
    complete = pc.fill_null(pc.equal(text_column(records, status_column(form)), _COMPLETE), False)
    counts: dict[str, int] = {}
    for field, columns in groupby(project.columns(form), key=lambda column: column.field):
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
    """Whether a field is to be filled wherever its form is: required, and always asked."""
    return field.required_field.lower() == "y" and not field.branching_logic.strip()


def _is_blank(records: pa.Table, column: Column) -> pa.ChunkedArray:
    text = text_column(records, column.name)
    if column.choice is None:
        return text.is_null()
    return pc.fill_null(pc.not_equal(text, "1"), True)
