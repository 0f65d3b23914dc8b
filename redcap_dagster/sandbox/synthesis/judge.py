"""What is wrong in a cell of a made-up record, by its dictionary: the rules B, C, D, F, G and H."""

from decimal import Decimal
from typing import Final

from redcap_dagster.project.logic import find_rounding_unit
from redcap_dagster.project.logic.values import to_number
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.sandbox.synthesis.plan import FieldPlan
from redcap_dagster.sandbox.synthesis.records import MadeUpRecord, Place
from redcap_dagster.sandbox.synthesis.values import Bounds, find_mistake

_COMPLETE: Final = "2"
_SEVERAL: Final = 2
_RELATIVE: Final = Decimal("1e-9")
_MOVING: Final = ("today", "now")


def find_findings(record: MadeUpRecord, plan: FieldPlan, place: Place) -> frozenset[str]:
    """Return the letters of the rules by which a cell is certainly wrong.

    Logic that depends on the clock, a user or the server decides nothing.

    Args:
        record: The record.
        plan: The field.
        place: Row of the record in which the field's instrument was saved.
    """
    row = record.rows[place]
    filled = record.is_filled(plan, place)
    is_certain = plan.branching is None or plan.branching.is_certain
    found = set()
    if plan.is_calculated:
        return frozenset("H") if _is_miscalculated(record, plan, place) else frozenset()
    value = row.get(plan.name, "")
    is_code = value in plan.missing_codes
    if filled and is_certain and not is_code and record.is_hidden(plan, place):
        found.add("F")
    if not filled and is_blank_required(record, plan, place):
        found.add("B")
    if value and value not in plan.missing_codes:
        limits = (plan.field.text_validation_min, plan.field.text_validation_max)
        constant = Bounds(*("" if "[" in each or each in _MOVING else each for each in limits))
        found |= {find_mistake(plan.field, value, constant)} - {""}
    return frozenset(found)


def is_blank_required(record: MadeUpRecord, plan: FieldPlan, place: Place) -> bool:
    """Return whether a field certainly must not be blank: in a form that is complete."""
    return not record.is_filled(plan, place) and is_required(record, plan, place)


def is_required(record: MadeUpRecord, plan: FieldPlan, place: Place) -> bool:
    """Return whether a field is certainly asked and required, in a form that is complete."""
    is_certain = plan.branching is None or plan.branching.is_certain
    return (
        plan.required
        and not plan.is_calculated
        and not plan.may_be_hidden
        and is_certain
        and record.rows[place].get(status_column(plan.field.form_name)) == _COMPLETE
        and record.is_asked(plan, place)
    )


def is_mostly_blank(record: MadeUpRecord, form: str, place: Place) -> bool:
    """Return whether several and most required fields of a form are blank: another finding."""
    blanks = [
        not record.is_filled(plan, place)
        for plan in record.plan.required.get(form, ())
        if is_required(record, plan, place)
    ]
    return sum(blanks) >= _SEVERAL and 2 * sum(blanks) > len(blanks)


def _is_miscalculated(record: MadeUpRecord, plan: FieldPlan, place: Place) -> bool:
    calculation = plan.calculation
    if calculation is None or not calculation.is_certain:
        return False
    expected, value = record.calculate(plan, place), record.rows[place].get(plan.name, "")
    if expected is None or record.reads_missing_code(calculation, place):
        return False
    if value == "" and not record.is_asked(plan, place):
        return False  # REDCap need not calculate what branching logic hides
    first, second = to_number(expected), to_number(value)
    if first is None or second is None:
        return expected != value
    tolerance = max(abs(first), abs(second)) * _RELATIVE
    return abs(first - second) > max(
        tolerance, find_rounding_unit(calculation.node) * (1 + _RELATIVE)
    )
