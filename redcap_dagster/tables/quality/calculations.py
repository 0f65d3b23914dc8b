"""Rule H: stored values that differ from the result of their calculation."""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Field
from redcap_dagster.project.action_tags import read_calculation
from redcap_dagster.project.logic import (
    LogicError,
    Node,
    find_rounding_unit,
    list_references,
    parse_logic,
)
from redcap_dagster.project.validations import get_validation
from redcap_dagster.tables.cleaning.column_types import DOUBLE, cast_text
from redcap_dagster.tables.logic import evaluate_calculations, find_column, resolve
from redcap_dagster.tables.quality.descriptions import CALCULATIONS_CORRECT
from redcap_dagster.tables.quality.findings import InstrumentRows, RuleFindings, combine
from redcap_dagster.tables.visibility import find_shown

_RELATIVE: Final = 1e-9


@dataclass(frozen=True)
class _Calculation:
    """The calculation of a field; its tree is None where it cannot be read."""

    field: Field
    node: Node | None
    is_number: bool


def judge_calculations(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each calculated field whose value is not its result: rule H.

    Numbers are equal to a relative 1e-9, or to one unit of the last place of an outermost
    ``round``, which may be in an ``if``. It cannot be said where the result depends on the time,
    on a missing data code, or on values that are not known.

    Args:
        rows: The rows of an instrument.
    """
    calculations = [_read_calculation(field) for field, _ in rows.group_columns()]
    return [_judge(rows, each) for each in calculations if each is not None]


def _read_calculation(field: Field) -> _Calculation | None:
    """Return the calculation of a field; None if it does not have one for certain."""
    is_number = field.field_type == "calc"
    logic = read_calculation(field)
    if not (is_number or logic):
        return None
    try:
        return _Calculation(field, parse_logic(logic), is_number)
    except LogicError:
        return _Calculation(field, None, is_number)


def _judge(rows: InstrumentRows, calculation: _Calculation) -> RuleFindings:
    name, node = calculation.field.field_name, calculation.node
    read = {name: rows.records[name]}
    wrong = certain = rows.repeat(False)
    if node is not None:
        stored = rows.read_text(name)
        result = evaluate_calculations(rows.study, rows.instrument, node)
        if calculation.is_number:
            is_result = combine(cast_text(pa.chunked_array([result]), DOUBLE).is_valid())
            result = pc.if_else(pc.or_(is_result, result.is_null()), result, "")
        certain = pc.and_not(result.is_valid(), rows.study.find_missing_codes(stored))
        if rows.rules.keep_unsaved:  # REDCap need not calculate what nobody has saved
            certain = pc.and_(certain, rows.find_saved())
        if not calculation.is_number and _reads_decimal_commas(rows, calculation.field, node):
            certain = pc.and_not(certain, combine(pc.match_substring_regex(result, r"\d\.\d")))
        is_blank = pc.equal(stored, "")
        is_shown = find_shown(rows.study, rows.instrument)[name]
        certain = pc.and_(certain, pc.or_(pc.invert(is_blank), combine(is_shown)))
        for reference in list_references(node):
            values = resolve(rows.study, reference, rows.instrument)
            read[str(reference)] = values
            certain = pc.and_not(certain, rows.study.find_missing_codes(values))
        wrong = pc.and_(
            certain, pc.invert(_are_equal(stored, result, float(find_rounding_unit(node))))
        )
        # REDCap does not calculate what branching logic hides: there, a blank is right.
        certain = pc.or_(certain, pc.and_(is_blank, combine(pc.invert(is_shown))))
    return rows.make_findings(
        CALCULATIONS_CORRECT,
        name,
        wrong,
        certain,
        pa.table(read),
        "The value is not the result of the calculation.",
        _describe_unevaluated(node, certain),
    )


def _reads_decimal_commas(rows: InstrumentRows, field: Field, node: Node) -> bool:
    """Whether a text may have a number with a decimal comma, in a notation that is not known."""
    columns = [find_column(rows.study, each) for each in list_references(node)]
    fields = [field, *(column.field for column in columns if column is not None)]
    return any(get_validation(each).comma for each in fields)


def _describe_unevaluated(node: Node | None, certain: pa.BooleanArray) -> str:
    if node is None:
        return "the calculation cannot be read"
    return f"{certain.false_count} rows" if certain.false_count else ""


def _are_equal(stored: pa.StringArray, result: pa.StringArray, unit: float) -> pa.BooleanArray:
    """Return whether texts are the same, or numbers that differ by less than the tolerance."""
    numbers = [cast_text(pa.chunked_array([each]), DOUBLE) for each in (stored, result)]
    first, second = numbers
    difference = pc.abs(pc.subtract(first, second))
    largest = pc.max_element_wise(pc.abs(first), pc.abs(second))
    tolerance = pc.max_element_wise(pc.multiply(largest, _RELATIVE), unit * (1 + _RELATIVE))
    is_near = combine(pc.less_equal(difference, tolerance))
    return combine(pa.chunked_array([pc.or_(is_near, pc.equal(stored, result))]))
