"""The functions of numbers that Python does not have as REDCap has them.

Each raises an ArithmeticError or a ValueError where it has no result, or none that is certain.
"""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Final

from redcap_dagster.project.logic.tree import Function, Literal, Node, Operation

_ROUNDING: Final = ("round", "roundup", "rounddown")
_MOST_PLACES: Final = 2
"""Most digits of a number of decimals; with more, the last place is too small to matter."""
_ZERO = Decimal(0)


def round_half_up(number: Decimal, places: Decimal = _ZERO) -> Decimal:
    """Return a number rounded to a number of decimals.

    Raises:
        ValueError: A negative number is in the middle of two: JavaScript rounds it up, PHP down.
    """
    rounded = _round(number, places, ROUND_HALF_UP)
    if number < 0 and abs(rounded - number) * 2 == Decimal(1).scaleb(-int(places)):
        raise ValueError("JavaScript and PHP differ.")
    return rounded


def round_up(number: Decimal, places: Decimal = _ZERO) -> Decimal:
    """Return a number rounded up.

    Raises:
        ValueError: A negative number is to be rounded: sources disagree in which direction.
    """
    return _round_surely(number, places, ROUND_CEILING)


def round_down(number: Decimal, places: Decimal = _ZERO) -> Decimal:
    """Return a number rounded down.

    Raises:
        ValueError: A negative number is to be rounded: sources disagree in which direction.
    """
    return _round_surely(number, places, ROUND_FLOOR)


def _round_surely(number: Decimal, places: Decimal, mode: str) -> Decimal:
    if number < 0 and _round(number, places, ROUND_DOWN) != number:
        raise ValueError("Sources disagree.")
    return _round(number, places, mode)


def _round(number: Decimal, places: Decimal, mode: str) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-int(places)), rounding=mode)


def get_logarithm(number: Decimal, base: Decimal | None = None) -> Decimal:
    """Return the logarithm of a number to a base, which defaults to e.

    Raises:
        ArithmeticError: The number or the base does not have a logarithm.
    """
    if number <= 0:
        raise ArithmeticError("The number has no logarithm.")
    if base is None:
        return number.ln()
    # The logarithms of 10 are exact.
    return number.log10() / base.log10()


def find_rounding_unit(calculation: Node) -> Decimal:
    """Return one unit of the last place of an outermost rounding.

    It may be in an ``if``, or be divided by a number, as ``round([a] * 100) / 100``.

    Servers and browsers may round a value in the middle of two differently: such results differ by
    one unit. It is 0 without such a rounding.

    Example:
        >>> from redcap_dagster.project.logic import parse_logic
        >>> find_rounding_unit(parse_logic("if([a] = '', '', round([a] / 3, 2))"))
        Decimal('0.01')
    """
    match calculation:
        case Function(name, (_,)) if name in _ROUNDING:
            return Decimal(1)
        case Function(name, (_, Literal(places))) if name in _ROUNDING and places.isdecimal():
            return Decimal(f"1e-{places}") if len(places) <= _MOST_PLACES else _ZERO
        case Operation("/", number, Literal(divisor)) if divisor.isdecimal() and Decimal(divisor):
            return find_rounding_unit(number) / Decimal(divisor)
        case Function("if", (_, chosen, other)):
            return max(find_rounding_unit(chosen), find_rounding_unit(other))
    return _ZERO
