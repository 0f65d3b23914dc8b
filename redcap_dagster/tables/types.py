"""The dictionary -> types, and casting text by them.

Text is matched against a grammar first and cast after: Arrow alone would take ``0x10``, ``007`` and
``NaN`` as numbers. The grammars admit exactly what the cast takes, so that casting cannot fail, and
nothing depends on locale, time zone or machine. Dates and times always arrive as ``Y-M-D`` and
``H:M[:S]``, whatever the validation's display format (recorded from real servers); they are naive,
as REDCap keeps them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Field

_LEAP_YEAR = r"(?:\d{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_YEAR = r"(?:[1-9]\d{3}|0[1-9]\d{2}|00[1-9]\d|000[1-9])"
_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    rf"|02-(?:0[1-9]|1\d|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
_NUMBER = r"-?(?:(?:0|[1-9]\d*)(?:{point}\d+)?|{point}\d+)(?:[eE][+-]?\d+)?"


@dataclass(frozen=True)
class ColumnType:
    """A type that a column of text can be cast to.

    Attributes:
        name: How `CleaningRules.types` calls it.
        arrow: What the cast column is.
        grammar: What a value must match as a whole (RE2); None admits every text.
        cast: From text that matches to the Arrow type.
    """

    name: str
    arrow: pa.DataType
    grammar: str | None
    cast: Callable[[pa.Array], pa.Array]


def _as_finite(text: pa.Array) -> pa.Array:
    numbers = text.cast(pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _as_finite_of_comma(text: pa.Array) -> pa.Array:
    return _as_finite(pc.replace_substring(text, ",", "."))


def _as_time(text: pa.Array) -> pa.Array:
    moment = pc.binary_join_element_wise("1970-01-01", text, " ")  # Arrow casts no text to times
    return moment.cast(pa.timestamp("us")).cast(pa.time64("us"))


def _as_time_of_minutes(text: pa.Array) -> pa.Array:
    return _as_time(pc.binary_join_element_wise("00", text, ":"))


TEXT = ColumnType("text", pa.string(), None, lambda text: text)
INTEGER = ColumnType(
    "integer", pa.int64(), r"-?(?:0|[1-9]\d{0,17})", lambda text: text.cast(pa.int64())
)
DOUBLE = ColumnType("double", pa.float64(), _NUMBER.format(point=r"\."), _as_finite)
# The server writes a comma or, when a decimal character is forced upon it, a point.
DOUBLE_COMMA = ColumnType("double", pa.float64(), _NUMBER.format(point="[.,]"), _as_finite_of_comma)
BOOLEAN = ColumnType("boolean", pa.bool_(), "[01]", lambda text: pc.equal(text, "1"))
DATE = ColumnType("date", pa.date32(), _DATE, lambda text: text.cast(pa.date32()))
DATETIME = ColumnType(
    "datetime",
    pa.timestamp("us"),
    f"{_DATE}[ T]{_TIME}",
    lambda text: text.cast(pa.timestamp("us")),
)
TIME = ColumnType("time", pa.time64("us"), _TIME, _as_time)
TIME_MM_SS = ColumnType("time", pa.time64("us"), r"[0-5]\d:[0-5]\d", _as_time_of_minutes)

TYPES: Mapping[str, ColumnType] = {
    kind.name: kind for kind in (TEXT, INTEGER, DOUBLE, BOOLEAN, DATE, DATETIME, TIME)
}
"""The types that a user can ask for, by name."""

_OF_FIELD_TYPE: Mapping[str, ColumnType] = {
    "yesno": BOOLEAN,
    "truefalse": BOOLEAN,
    "checkbox": BOOLEAN,
    "slider": INTEGER,
    "calc": DOUBLE,
}
_OF_VALIDATION: Mapping[str, ColumnType] = {
    "integer": INTEGER,
    "number": DOUBLE,
    "number_1dp": DOUBLE,
    "number_2dp": DOUBLE,
    "number_3dp": DOUBLE,
    "number_4dp": DOUBLE,
    "number_comma_decimal": DOUBLE_COMMA,
    "number_1dp_comma_decimal": DOUBLE_COMMA,
    "number_2dp_comma_decimal": DOUBLE_COMMA,
    "number_3dp_comma_decimal": DOUBLE_COMMA,
    "number_4dp_comma_decimal": DOUBLE_COMMA,
    "date_dmy": DATE,
    "date_mdy": DATE,
    "date_ymd": DATE,
    "datetime_dmy": DATETIME,
    "datetime_mdy": DATETIME,
    "datetime_ymd": DATETIME,
    "datetime_seconds_dmy": DATETIME,
    "datetime_seconds_mdy": DATETIME,
    "datetime_seconds_ymd": DATETIME,
    "time": TIME,
    "time_hh_mm_ss": TIME,
    "time_mm_ss": TIME_MM_SS,
}


def get_column_type(field: Field) -> ColumnType:
    """Give the type that the dictionary says for a field; text for what it does not say.

    Radio and dropdown fields are text here: their values are looked up among the choices. Postal
    codes, phone and record numbers stay text, so that leading zeros stay too, and so do
    validations that are unknown: servers have their own.

    Example:
        >>> get_column_type(Field("consent", "visit", field_type="yesno")).name
        'boolean'
    """
    if field.field_type == "text":
        return _OF_VALIDATION.get(field.validation, TEXT)
    return _OF_FIELD_TYPE.get(field.field_type, TEXT)


def cast_text(text: pa.ChunkedArray, kind: ColumnType) -> pa.ChunkedArray:
    """Cast a column of text; what does not fit becomes null."""
    if kind.grammar is None:
        return text
    if not _repeats(text):
        return pa.chunked_array([_cast_values(chunk, kind) for chunk in text.chunks], kind.arrow)
    # Matching is what takes time: each value is matched once, then put where it stands.
    encoded = text.dictionary_encode().chunks
    cast = _cast_values(encoded[0].dictionary, kind)
    spread = [pc.take(cast, chunk.indices, boundscheck=False) for chunk in encoded]
    return pa.chunked_array(spread, kind.arrow)


def _repeats(text: pa.ChunkedArray) -> bool:
    """Whether a column has few values for its length, by its first ones."""
    first = text.slice(0, 2000).drop_null()
    return len(first.unique()) < 0.9 * len(first)


def _cast_values(text: pa.Array, kind: ColumnType) -> pa.Array:
    fits = pc.match_substring_regex(text, f"^(?:{kind.grammar})$")
    return kind.cast(pc.if_else(fits, text, pa.scalar(None, pa.string())))


def infer_type(text: pa.ChunkedArray) -> ColumnType:
    """Infer integer or double for a whole column of text, or leave it text.

    It needs one value at least, and every value a plain decimal number of at most 15 significant
    digits, which is what both types hold exactly.
    """
    first = text.slice(0, 100).drop_null()
    if len(first) and not _plain_numbers(first):
        return TEXT  # so it is with words; there is no need to look at the others
    values = text.unique().drop_null()
    if not len(values) or not _plain_numbers(values):
        return TEXT
    return DOUBLE if pc.any(pc.match_substring(values, ".")).as_py() else INTEGER


def _plain_numbers(values: pa.Array | pa.ChunkedArray) -> bool:
    plain = pc.match_substring_regex(values, r"^-?(?:0|[1-9]\d*)(?:\.\d+)?$")
    digits = pc.replace_substring_regex(values, r"^-?0?\.?0*|\.", "")
    exact = pc.less_equal(pc.binary_length(digits), 15)
    return bool(pc.all(pc.and_(plain, exact)).as_py())
