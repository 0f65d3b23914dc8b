"""The types of fields by the dictionary, and the cast of text to them.

Text is matched against a grammar before it is cast: Arrow alone accepts ``0x10`` and ``NaN`` as
numbers. A grammar matches all that REDCap's own validation accepts (``07``, ``99.``, ``+1.5``,
``6:23``), and only what the cast accepts: a cast cannot fail, and its result does not depend on
locale, time zone or machine. REDCap exports dates and times as ``Y-M-D`` and
``H:M[:S]``, whatever the field's display format (recorded from real servers), without a time zone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Field
from redcap_dagster.project.validations import CLOCKS, VALIDATIONS, build_number_pattern

_LEAP_YEAR = r"(?:\d{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_YEAR = r"(?:[1-9]\d{3}|0[1-9]\d{2}|00[1-9]\d|000[1-9])"
_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    rf"|02-(?:0[1-9]|1\d|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_TIME = f"(?:{CLOCKS['H:M']}|{CLOCKS['H:M:S']})"

_MAX_INTEGER = {"": str(2**63 - 1), "-": str(2**63)}


@dataclass(frozen=True)
class ColumnType:
    """A type to which a column of text can be cast.

    Attributes:
        name: Name in `CleaningRules.types`.
        arrow: Arrow type of the cast column.
        grammar: Regular expression (RE2) that a whole value must match; None for any text.
        cast: Function from text that matches to the Arrow type.
    """

    name: str
    arrow: pa.DataType
    grammar: str | None
    cast: Callable[[pa.Array], pa.Array]


def _cast_integer(text: pa.Array) -> pa.Array:
    """Return whole numbers; null beyond 64 bits, which a column of integers cannot hold."""
    plain = pc.replace_substring_regex(text, r"^(-?)\+?0*(\d)", r"\1\2")
    digits = pc.replace_substring(plain, "-", "")
    limit = pc.if_else(pc.starts_with(plain, "-"), _MAX_INTEGER["-"], _MAX_INTEGER[""])
    length, most = pc.binary_length(digits), len(_MAX_INTEGER[""])
    fits = pc.or_(
        pc.less(length, most), pc.and_(pc.equal(length, most), pc.less_equal(digits, limit))
    )
    return pc.if_else(fits, plain, pa.scalar(None, pa.string())).cast(pa.int64())


def _cast_double(text: pa.Array) -> pa.Array:
    """Return numbers; null where one is too large to be finite."""
    plain = pc.replace_substring_regex(text, r"^\+", "")
    plain = pc.replace_substring_regex(plain, r"\.(?:$|([eE]))", r"\1")
    numbers = plain.cast(pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _cast_double_comma(text: pa.Array) -> pa.Array:
    return _cast_double(pc.replace_substring(text, ",", "."))


def _pad_hours(text: pa.Array) -> pa.Array:
    """Return times whose hours have two digits, which Arrow requires."""
    return pc.replace_substring_regex(text, r"(^|[ T])(\d:)", r"\10\2")


def _cast_datetime(text: pa.Array) -> pa.Array:
    return _pad_hours(text).cast(pa.timestamp("us"))


def _cast_time(text: pa.Array) -> pa.Array:
    # Arrow cannot cast text to times.
    moment = pc.binary_join_element_wise("1970-01-01", _pad_hours(text), " ")
    return moment.cast(pa.timestamp("us")).cast(pa.time64("us"))


def _cast_minutes(text: pa.Array) -> pa.Array:
    return _cast_time(pc.binary_join_element_wise("00", text, ":"))


TEXT = ColumnType("text", pa.string(), None, lambda text: text)
INTEGER = ColumnType("integer", pa.int64(), VALIDATIONS["integer"].pattern, _cast_integer)
DOUBLE = ColumnType("double", pa.float64(), build_number_pattern(r"\."), _cast_double)
# The server writes a comma, or a point if the export requests it as decimal character.
DOUBLE_COMMA = ColumnType("double", pa.float64(), build_number_pattern("[.,]"), _cast_double_comma)
BOOLEAN = ColumnType("boolean", pa.bool_(), "[01]", lambda text: pc.equal(text, "1"))
DATE = ColumnType("date", pa.date32(), _DATE, lambda text: text.cast(pa.date32()))
DATETIME = ColumnType("datetime", pa.timestamp("us"), f"{_DATE}[ T]{_TIME}", _cast_datetime)
TIME = ColumnType("time", pa.time64("us"), _TIME, _cast_time)
TIME_MM_SS = ColumnType("time", pa.time64("us"), CLOCKS["M:S"], _cast_minutes)

FieldType = Literal["text", "integer", "double", "boolean", "date", "datetime", "time"]
"""Names of the types that `CleaningRules.types` takes."""

TYPES: Mapping[str, ColumnType] = {
    kind.name: kind for kind in (TEXT, INTEGER, DOUBLE, BOOLEAN, DATE, DATETIME, TIME)
}
"""The types that `CleaningRules.types` accepts, by name."""

_BY_FIELD_TYPE: Mapping[str, ColumnType] = {
    "yesno": BOOLEAN,
    "truefalse": BOOLEAN,
    "checkbox": BOOLEAN,
    "slider": INTEGER,
    "calc": DOUBLE,
}
_BY_KIND: Mapping[str, ColumnType] = {
    "text": TEXT,
    "integer": INTEGER,
    "number": DOUBLE,
    "date": DATE,
    "datetime": DATETIME,
    "time": TIME,
}


def get_column_type(field: Field) -> ColumnType:
    """Return the type of a field by the dictionary; text if the dictionary does not say it.

    Radio and dropdown fields are text: their codes are looked up in the choices. Postal codes,
    phone numbers and record numbers are text, which keeps leading zeros. So are fields with a
    validation that is unknown here, as servers have their own.

    Args:
        field: Field of the dictionary.

    Example:
        >>> get_column_type(Field("consent", "visit", field_type="yesno")).name
        'boolean'
    """
    if field.field_type != "text":
        return _BY_FIELD_TYPE.get(field.field_type, TEXT)
    validation = VALIDATIONS.get(field.validation)
    if validation is None:
        return TEXT
    if validation.comma:
        return DOUBLE_COMMA
    return TIME_MM_SS if validation.clock == "M:S" else _BY_KIND[validation.kind]


def cast_text(text: pa.ChunkedArray, kind: ColumnType) -> pa.ChunkedArray:
    """Return a column of text cast to a type; invalid values are null.

    Args:
        text: Column of text.
        kind: Type.

    Example:
        >>> cast_text(pa.chunked_array([["7", "07", "x"]]), INTEGER).to_pylist()
        [7, 7, None]
    """
    if kind.grammar is None:
        return text
    if not _has_repeats(text):
        return pa.chunked_array([_cast_values(chunk, kind) for chunk in text.chunks], kind.arrow)
    # Matching takes the time: each distinct value is matched once, then put in its rows.
    encoded = text.dictionary_encode().chunks
    cast = _cast_values(encoded[0].dictionary, kind)
    spread = [pc.take(cast, chunk.indices, boundscheck=False) for chunk in encoded]
    return pa.chunked_array(spread, kind.arrow)


def _has_repeats(text: pa.ChunkedArray) -> bool:
    """Whether many values of a column are repeated, judged by the first rows."""
    first = text.slice(0, 2000).drop_null()
    return len(first.unique()) < 0.9 * len(first)


def _cast_values(text: pa.Array, kind: ColumnType) -> pa.Array:
    """Return values cast to a type; null where the grammar does not match."""
    is_valid = pc.match_substring_regex(text, f"^(?:{kind.grammar})$")
    return kind.cast(pc.if_else(is_valid, text, pa.scalar(None, pa.string())))


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
    values = text.unique().drop_null()
    kind = _find_number_type(values)
    if not len(values) or kind is TEXT:
        return Inference(TEXT)
    is_exact = _are_plain_numbers(values) and _have_one_form(values)
    return Inference(kind) if is_exact else Inference(TEXT, kind)


def _find_number_type(values: pa.Array) -> ColumnType:
    """Return the type of number to which all values can be cast; text if there is none."""
    kinds = (kind for kind in (INTEGER, DOUBLE) if not _cast_values(values, kind).null_count)
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
