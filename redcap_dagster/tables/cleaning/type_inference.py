"""The type of a column that the dictionary does not give: numbers, if no text is lost by it."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.tables.cleaning.column_types import (
    DOUBLE,
    INTEGER,
    TEXT,
    ColumnType,
    cast_array,
)
from redcap_dagster.text_bytes import view_bytes


@dataclass(frozen=True)
class Inference:
    """The type that was inferred from the values of a column.

    Attributes:
        kind: Type of the column.
        merging: Type of number that was not inferred, as different texts would become one number
            or could not be restored: ``345.1`` and ``345.10``, ``007``, 17 digits. Defaults to
            None.
    """

    kind: ColumnType
    merging: ColumnType | None = None


def infer_type(text: pa.ChunkedArray) -> Inference:
    """Return integer or double if every value of a column is a number written in one form.

    Numbers are in one form if each is as short as possible (``4``, ``4.5``), or if all have the
    same count of decimals (``4.50``, ``5.00``): then different texts are different numbers, and
    each text can be restored. ``345.1`` beside ``345.10`` stays text: these may be two diagnoses. A
    number has at most 15 significant digits, which both types hold exactly. A column without values
    is text.

    Args:
        text: Column of text.

    Example:
        >>> columns = (pa.chunked_array([values])
        ...     for values in (["1", "2.5"], ["007"], ["1.1", "1.10"]))
        >>> [infer_type(column).kind.name for column in columns]
        ['double', 'text', 'text']
    """
    if _find_number_type(text.slice(0, 100).unique().drop_null()) is TEXT:
        return Inference(TEXT)  # most columns of words are recognized by their first rows
    if text.null_count < len(text) and all(map(_are_plain_digits, text.chunks)):
        return Inference(INTEGER)
    values = text.unique().drop_null()
    kind = _find_number_type(values)
    if not len(values) or kind is TEXT:
        return Inference(TEXT)
    is_exact = _are_plain_numbers(values) and _have_one_form(values)
    return Inference(kind) if is_exact else Inference(TEXT, kind)


def _are_plain_digits(text: pa.StringArray) -> bool:
    """Whether all values are whole numbers of at most 15 digits, without sign and leading zeros."""
    seen = view_bytes(text)
    has_zero = (seen.first == ord("0")) & (seen.lengths > 1)
    return not (has_zero.any() or seen.find_others("09", range(1, 16)).any())


def _find_number_type(values: pa.Array) -> ColumnType:
    """Return the type of number to which all values can be cast, else text."""
    kinds = (kind for kind in (INTEGER, DOUBLE) if not cast_array(values, kind).null_count)
    return next(kinds, TEXT)


def _are_plain_numbers(values: pa.Array | pa.ChunkedArray) -> bool:
    """Whether all values are decimal numbers with at most 15 significant digits."""
    plain = pc.match_substring_regex(values, r"^-?(?:0|[1-9]\d*)(?:\.\d+)?$")
    digits = pc.replace_substring_regex(values, r"^-?0?\.?0*|\.", "")
    exact = pc.less_equal(pc.binary_length(digits), 15)
    return bool(pc.all(pc.and_(plain, exact)).as_py())


def _have_one_form(values: pa.Array | pa.ChunkedArray) -> bool:
    """Whether all plain numbers are as short as can be, or have the same count of decimals."""
    if pc.any(pc.match_substring_regex(values, r"^-0(?:\.0*)?$")).as_py():
        return False  # as a number it is 0
    if not pc.any(pc.match_substring_regex(values, r"\.\d*0$")).as_py():
        return True
    decimals = pc.replace_substring_regex(values, r"^[^.]*\.?", "")
    return len(pc.unique(pc.binary_length(decimals))) == 1
