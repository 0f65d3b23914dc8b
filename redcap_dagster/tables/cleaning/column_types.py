"""The types of fields by the dictionary, and the cast of text to them.

Text is matched against a grammar before it is cast: Arrow alone accepts ``0x10`` and ``NaN`` as
numbers. A grammar matches all that REDCap's own validation accepts (``07``, ``99.``, ``+1.5``,
``6:23``), and only what the cast accepts: a cast cannot fail, and its result does not depend on
locale, time zone or machine. REDCap exports dates and times as ``Y-M-D`` and
``H:M[:S]``, whatever the field's display format (recorded from real servers), without a time zone.

Matching takes most of the time, so plain values are not matched: of texts with the characters and
lengths of a `PlainForm`, Arrow alone accepts only what the grammar matches.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Field
from redcap_dagster.project.validations import CLOCKS, VALIDATIONS, build_number_pattern
from redcap_dagster.text_bytes import pack_flags, view_bytes

_LEAP_YEAR = r"(?:\d{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_YEAR = r"(?:[1-9]\d{3}|0[1-9]\d{2}|00[1-9]\d|000[1-9])"
_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    rf"|02-(?:0[1-9]|1\d|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_TIME = f"(?:{CLOCKS['H:M']}|{CLOCKS['H:M:S']})"

_NULL = pa.scalar(None, pa.string())
_MAX_INTEGER = {"": str(2**63 - 1), "-": str(2**63)}


@dataclass(frozen=True)
class PlainForm:
    """The form of nearly all values of a type, which Arrow casts without a grammar.

    Attributes:
        characters: The lowest and the highest ASCII character of the values.
        lengths: Lengths of the values in bytes.
        cast: Function from text in this form to the Arrow type. It raises `pa.ArrowInvalid` for a
            value that the type's grammar does not match, or returns null for it.
    """

    characters: str
    lengths: range
    cast: Callable[[pa.Array], pa.Array]


@dataclass(frozen=True)
class ColumnType:
    """A type to which a column of text can be cast.

    Attributes:
        name: Name in `CleaningRules.types`.
        arrow: Arrow type of the cast column.
        grammar: Regular expression (RE2) that a whole value must match; None for any text.
        cast: Function from text that matches to the Arrow type.
        plain: Form of values that need not be matched; None for any text.
    """

    name: str
    arrow: pa.DataType
    grammar: str | None
    cast: Callable[[pa.Array], pa.Array]
    plain: PlainForm | None = None


def _cast_integer(text: pa.Array) -> pa.Array:
    """Return whole numbers; null beyond 64 bits, which a column of integers cannot hold."""
    plain = pc.replace_substring_regex(text, r"^(-?)\+?0*(\d)", r"\1\2")
    digits = pc.replace_substring(plain, "-", "")
    limit = pc.if_else(pc.starts_with(plain, "-"), _MAX_INTEGER["-"], _MAX_INTEGER[""])
    length, most = pc.binary_length(digits), len(_MAX_INTEGER[""])
    fits = pc.or_(
        pc.less(length, most), pc.and_(pc.equal(length, most), pc.less_equal(digits, limit))
    )
    return pc.if_else(fits, plain, _NULL).cast(pa.int64())


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


def _cast_short_integer(text: pa.Array) -> pa.Array:
    return text.cast(pa.int64())


def _cast_short_double(text: pa.Array) -> pa.Array:
    return text.cast(pa.float64())


def _cast_short_double_comma(text: pa.Array) -> pa.Array:
    return pc.replace_substring(text, ",", ".").cast(pa.float64())


def _cast_digit(text: pa.Array) -> pa.Array:
    seen = view_bytes(text)
    return pack_flags(seen.first == ord("1"), seen.is_valid)


def _cast_day(text: pa.Array) -> pa.Array:
    return _drop_year_zero(text.cast(pa.date32()))


def _cast_minute(text: pa.Array) -> pa.Array:
    return _drop_year_zero(text.cast(pa.timestamp("us")))


def _drop_year_zero(days: pa.Array) -> pa.Array:
    """Return dates, null in the year 0, which Python does not have."""
    is_early = pc.less(days, pa.scalar(date.min).cast(days.type))
    return pc.if_else(is_early, pa.scalar(None, days.type), days) if is_early.true_count else days


TEXT = ColumnType("text", pa.string(), None, lambda text: text)
INTEGER = ColumnType(
    "integer",
    pa.int64(),
    VALIDATIONS["integer"].pattern,
    _cast_integer,
    PlainForm("-9", range(1, 19), _cast_short_integer),
)
DOUBLE = ColumnType(
    "double",
    pa.float64(),
    build_number_pattern(r"\."),
    _cast_double,
    PlainForm("-9", range(1, 100), _cast_short_double),
)
# The server writes a comma, or a point if the export requests it as decimal character.
DOUBLE_COMMA = ColumnType(
    "double",
    pa.float64(),
    build_number_pattern("[.,]"),
    _cast_double_comma,
    PlainForm(",9", range(1, 100), _cast_short_double_comma),
)
BOOLEAN = ColumnType(
    "boolean",
    pa.bool_(),
    "[01]",
    lambda text: pc.equal(text, "1"),
    PlainForm("01", range(1, 2), _cast_digit),
)
DATE = ColumnType(
    "date",
    pa.date32(),
    _DATE,
    lambda text: text.cast(pa.date32()),
    PlainForm("-9", range(10, 11), _cast_day),
)
DATETIME = ColumnType(
    "datetime",
    pa.timestamp("us"),
    f"{_DATE}[ T]{_TIME}",
    _cast_datetime,
    PlainForm(" :", range(16, 20), _cast_minute),
)
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
    return pa.chunked_array([cast_array(chunk, kind) for chunk in text.chunks], kind.arrow)


def cast_array(text: pa.Array, kind: ColumnType) -> pa.Array:
    """Return values cast to a type; invalid ones are null.

    Those in the plain form are cast by Arrow alone, the others by the grammar.

    Args:
        text: Array of text.
        kind: Type that has a grammar.

    Example:
        >>> cast_array(pa.array(["2024-05-01", "May"]), DATE).to_pylist()
        [datetime.date(2024, 5, 1), None]
    """
    if kind.plain is None:
        return cast_by_grammar(text, kind)
    others = view_bytes(text).find_others(kind.plain.characters, kind.plain.lengths)
    rows = pack_flags(others) if others.any() else None
    try:
        cast = kind.plain.cast(text if rows is None else pc.if_else(rows, _NULL, text))
    except pa.ArrowInvalid:
        return cast_by_grammar(text, kind)
    if rows is None:
        return cast
    return pc.replace_with_mask(cast, rows, cast_by_grammar(text.filter(rows), kind))


def cast_by_grammar(text: pa.Array, kind: ColumnType) -> pa.Array:
    """Return values cast to a type, each distinct value matched once; null where one is invalid.

    Args:
        text: Array of text.
        kind: Type that has a grammar.
    """
    if not _has_repeats(text):
        return _cast_values(text, kind)
    encoded = text.dictionary_encode()
    return pc.take(_cast_values(encoded.dictionary, kind), encoded.indices, boundscheck=False)


def _has_repeats(text: pa.Array) -> bool:
    """Whether many values are repeated, judged by the first rows."""
    first = text.slice(0, 2000).drop_null()
    return len(first.unique()) < 0.9 * len(first)


def _cast_values(text: pa.Array, kind: ColumnType) -> pa.Array:
    """Return values cast to a type; null where the grammar does not match."""
    is_valid = pc.match_substring_regex(text, f"^(?:{kind.grammar})$")
    return kind.cast(pc.if_else(is_valid, text, _NULL))
