"""Rules C and G: values that the validation of a field refuses, codes that are not its choices."""

from collections.abc import Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Column, Field
from redcap_dagster.project.columns import is_timestamp_field
from redcap_dagster.project.validations import NO_VALIDATION, Validation, get_validation
from redcap_dagster.tables.cleaning.cells import find_type
from redcap_dagster.tables.cleaning.column_types import DATE, TEXT, ColumnType
from redcap_dagster.tables.quality.descriptions import CHOICES_KNOWN, VALUES_FIT_TYPES
from redcap_dagster.tables.quality.findings import InstrumentRows, RuleFindings, combine
from redcap_dagster.tables.validity import choice_columns

_WITH_TWO_CODES = ("yesno", "truefalse")
_KINDS = {
    "integer": "an integer",
    "number": "a number",
    "date": "a date",
    "datetime": "a date and time",
    "time": "a time",
}


def judge_values(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each field whose value its type or its validation refuses: rule C.

    Of a field whose validation is unknown here, no value can be judged.

    Args:
        rows: The rows of an instrument.
    """
    with_choices = _find_choice_fields(rows)
    return [
        _judge_field(rows, field, columns)
        for field, columns in rows.group_columns()
        if field.field_name not in with_choices and _has_grammar(rows, field)
    ]


def judge_choices(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each multiple-choice field whose code is not a choice: rule G.

    Args:
        rows: The rows of an instrument.
    """
    with_choices = _find_choice_fields(rows)
    return [
        rows.make_findings(
            CHOICES_KNOWN,
            field.field_name,
            _find_invalid(rows, columns),
            rows.repeat(True),
            rows.records.select([field.field_name]),
            "The code is not one of the choices.",
        )
        for field, columns in rows.group_columns()
        if field.field_name in with_choices
    ]


def _find_choice_fields(rows: InstrumentRows) -> frozenset[str]:
    """Return the fields whose codes are looked up in choices."""
    named = choice_columns(rows.instrument, rows.project, rows.rules)
    return named | {
        field.field_name
        for field in rows.project.instrument_fields(rows.instrument)
        if field.field_type in _WITH_TWO_CODES and field.field_name not in rows.rules.types
    }


def _has_grammar(rows: InstrumentRows, field: Field) -> bool:
    """Whether a field has a type or a validation that can refuse a value."""
    if field.field_type == "text" and field.validation:
        return True
    kind = find_type(field, rows.project, rows.rules)
    return kind is not None and kind is not TEXT


def _judge_field(rows: InstrumentRows, field: Field, columns: Sequence[Column]) -> RuleFindings:
    wrong = _find_invalid(rows, columns)
    certain = rows.repeat(True)
    validation = get_validation(field)
    if field.field_type == "text" and field.validation and not is_timestamp_field(field):
        values = rows.find_values(columns[0])
        if validation is NO_VALIDATION:
            certain = pc.or_(wrong, combine(values.is_null()))
        elif not _accepts_type(validation, find_type(field, rows.project, rows.rules)):
            refused = _find_unlike(values, validation, validation.pattern)
            values = pc.if_else(refused, values, pa.scalar(None, pa.string()))
            wrong = pc.or_(wrong, _find_unlike(values, validation, validation.tolerated))
            certain = pc.or_(wrong, pc.invert(refused))
    return rows.make_findings(
        VALUES_FIT_TYPES,
        field.field_name,
        wrong,
        certain,
        rows.records.select([column.name for column in columns]),
        _describe(field, validation),
        f"validation {field.validation}" if certain.false_count else "",
    )


def _find_invalid(rows: InstrumentRows, columns: Sequence[Column]) -> pa.BooleanArray:
    """Return whether a row has an invalid value in any of the columns."""
    invalid = rows.cleaned.invalid_rows
    found = [combine(invalid[column.name]) for column in columns if column.name in invalid]
    return reduce(pc.or_, found, rows.repeat(False))


def _accepts_type(validation: Validation, kind: ColumnType | None) -> bool:
    """Whether a validation accepts each value of a column type, so that the cast is its test."""
    if kind is DATE:
        return validation.kind == "date"
    return kind is not None and kind.grammar == validation.pattern


def _find_unlike(values: pa.ChunkedArray, validation: Validation, pattern: str) -> pa.BooleanArray:
    """Return whether each value does not match a pattern of a validation; False without a value."""
    if validation.kind == "datetime":
        pattern = pattern.replace(" ", "[ T]")
    return combine(pc.invert(pc.match_substring_regex(values, f"^(?:{pattern})$")))


def _describe(field: Field, validation: Validation) -> str:
    if field.field_type == "checkbox":
        return "The value of an option is neither 0 nor 1."
    if field.field_type == "text" and validation.kind == "text" and field.validation:
        return f"The value does not match the validation {field.validation}."
    decimals = f" with {validation.decimals} decimals" if validation.decimals else ""
    return f"The value is not {_KINDS.get(validation.kind, 'of the type of the column')}{decimals}."
