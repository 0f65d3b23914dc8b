"""Rules that point at what may be right: blank values (A), outliers (E), missing codes (I)."""

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Column
from redcap_dagster.project.columns import is_status_field, is_timestamp_field
from redcap_dagster.project.validations import get_validation
from redcap_dagster.tables.cleaning.cells import missing_code_columns
from redcap_dagster.tables.cleaning.column_types import DOUBLE, DOUBLE_COMMA, cast_text
from redcap_dagster.tables.quality.descriptions import BLANK_VALUES, MISSING_CODES_USED, OUTLIERS
from redcap_dagster.tables.quality.findings import InstrumentRows, RuleFindings, combine
from redcap_dagster.tables.visibility import find_asked

_DEVIATIONS = 2


def judge_outliers(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each numeric field that are beyond two standard deviations: rule E.

    Mean and standard deviation (of a sample) are those of all values of the field in the rows.
    Rows of some buckets do not tell them: there, no number can be judged.

    Args:
        rows: The rows of an instrument.
    """
    found = []
    for field, (column, *_) in rows.group_columns():
        validation = get_validation(field)
        if validation.kind not in ("integer", "number"):
            continue
        numbers = cast_text(rows.find_values(column), DOUBLE_COMMA if validation.comma else DOUBLE)
        mean, deviation = pc.mean(numbers), pc.stddev(numbers, ddof=1)
        distance = pc.abs(pc.subtract(numbers, mean))
        is_far = pc.greater(distance, pc.multiply(deviation, _DEVIATIONS))
        found.append(
            rows.make_findings(
                OUTLIERS,
                field.field_name,
                combine(is_far) if rows.is_whole else rows.repeat(False),
                rows.repeat(True) if rows.is_whole else combine(numbers.is_null()),
                rows.records.select([column.name]),
                "The value is more than two standard deviations from the mean of the field.",
                "" if rows.is_whole else "the mean of all buckets",
            )
        )
    return found


def judge_missing_codes(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each field that hold a missing data code of the project: rule I.

    Args:
        rows: The rows of an instrument.
    """
    codes = rows.study.missing_codes
    found = []
    for field, columns in rows.group_columns():
        if not codes or is_status_field(field) or is_timestamp_field(field):
            continue
        wrong = rows.repeat(False)
        if field.field_type == "checkbox":
            for column in missing_code_columns(columns):
                wrong = pc.or_(wrong, combine(pc.equal(rows.records[column.name], "1")))
        else:
            others = pa.array(
                sorted(codes - {choice.code for choice in field.choices}), pa.string()
            )
            wrong = combine(pc.is_in(rows.records[field.field_name], others))
        found.append(
            rows.make_findings(
                MISSING_CODES_USED,
                field.field_name,
                wrong,
                rows.repeat(True),
                rows.records.select([column.name for column in columns]),
                "The field holds a missing data code.",
            )
        )
    return found


def judge_blanks(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each field that was asked and is blank: rule A.

    Args:
        rows: The rows of an instrument.
    """
    asked = find_asked(rows.study, rows.instrument)
    found = []
    for field, columns in rows.group_columns():
        if is_status_field(field) or is_timestamp_field(field):
            continue
        blank = reduce(pc.and_, [_find_blank(rows, column) for column in columns])
        is_asked = asked[field.field_name]
        found.append(
            rows.make_findings(
                BLANK_VALUES,
                field.field_name,
                pc.and_(blank, combine(is_asked)),
                pc.or_(is_asked.is_valid(), pc.invert(blank)),
                rows.records.select([column.name for column in columns]),
                "The field was asked and is blank.",
            )
        )
    return found


def _find_blank(rows: InstrumentRows, column: Column) -> pa.BooleanArray:
    """Return whether each row has no entry in a column; an option has one if it is ticked."""
    text = rows.records[column.name]
    if column.choice is None:
        return combine(text.is_null())
    return pc.invert(combine(pc.equal(text, "1")))
