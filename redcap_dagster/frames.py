"""DataFrames and Arrow tables: the one place where either is made from the other.

The dtype of a column follows from its Arrow type alone, never from its values, so that code for a
table of one study works for that of another, and for one without rows.
"""

from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
import pandas as pd
import pyarrow as pa

Frames = Literal["pandas", "arrow"]
"""The option ``frames``: dtypes of ordinary pandas, or pandas' dtypes of Arrow."""


class ArrowStream(Protocol):
    """A table that offers the Arrow C stream, such as a polars DataFrame."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the stream as a PyCapsule."""


Rows: TypeAlias = pd.DataFrame | pa.Table | ArrowStream
"""What is read as a table: a DataFrame, an Arrow table, or what offers the Arrow C stream."""

_INTEGERS = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}

_PANDAS_TYPES = ("pandas.period", "pandas.interval")
"""The Arrow types in which pandas gives its periods and intervals; pandas alone reads them."""

INDEX_REFUSAL = (
    "The frame has an index, which a table cannot store. Call reset_index() to make it a column, "
    "or reset_index(drop=True) to drop it."
)

_IS_PANDAS_2 = pd.__version__.startswith("2.")

# The default dtype of text: ``string`` in pandas 2, ``str`` since pandas 3.
_TEXT = pd.StringDtype("pyarrow") if _IS_PANDAS_2 else pd.StringDtype(na_value=np.nan)


def to_frame(table: Rows, frames: Frames = "pandas") -> pd.DataFrame:
    """Return a table as a DataFrame.

    Args:
        table: An Arrow table, an object that offers the Arrow C stream, or a DataFrame, which gets
            the dtypes of `frames`.
        frames: ``pandas`` for the dtypes of ordinary pandas: text is ``str`` (in pandas 2
            ``string``), numbers are ``float64``, whole numbers ``Int64``, yes or no ``boolean``,
            dates ``datetime64[s]``, dates with time ``datetime64[us]``, choices categories in the
            order of the choices; times and lists keep their Arrow dtype. ``arrow`` for Arrow dtypes
            in all columns but choices. Defaults to ``pandas``.

    Raises:
        TypeError: The table is another object.
        ValueError: ``frames`` has another value, or a DataFrame does not fit into a table.

    Example:
        >>> table = pa.table({"age": [41, None], "weight": [70.5, None]})
        >>> to_frame(table).dtypes.astype(str).to_dict()
        {'age': 'Int64', 'weight': 'float64'}
        >>> to_frame(table, frames="arrow")["age"].dtype
        int64[pyarrow]
    """
    if frames not in get_args(Frames):
        raise ValueError(f"frames: {frames!r} is not one of {', '.join(get_args(Frames))}.")
    rows = table if isinstance(table, pa.Table) else to_table(table)
    if frames == "pandas":
        rows = rows.cast(pa.schema([_get_pandas_field(field) for field in rows.schema]))
    frame: pd.DataFrame = rows.to_pandas(
        types_mapper=_get_pandas_dtype if frames == "pandas" else _get_arrow_dtype,
        ignore_metadata=True,
    )
    return frame


def get_text_type(frames: Frames) -> pa.DataType:
    """Return the Arrow type of text that `to_frame` does not have to convert."""
    return pa.large_string() if frames == "pandas" else pa.string()


def _get_pandas_field(field: pa.Field) -> pa.Field:
    """Return a field with a type that pandas has: not a date, and not null."""
    if pa.types.is_date(field.type):
        return field.with_type(pa.timestamp("s"))
    return field.with_type(pa.string()) if pa.types.is_null(field.type) else field


def _get_pandas_dtype(kind: pa.DataType) -> Any:
    """Return the dtype of ordinary pandas for an Arrow type; None for the one that Arrow chooses.

    Arrow's own choice has no missing integers and booleans, and makes objects of other types.
    """
    if kind in _INTEGERS:
        return _INTEGERS[kind]
    if pa.types.is_boolean(kind):
        return pd.BooleanDtype()
    if pa.types.is_dictionary(kind):
        return None
    if is_text(kind):
        return _TEXT
    chosen = (pa.types.is_floating, pa.types.is_timestamp, pa.types.is_duration)
    return None if any(test(kind) for test in chosen) else pd.ArrowDtype(kind)


def _get_arrow_dtype(kind: pa.DataType) -> pd.ArrowDtype | None:
    return None if pa.types.is_dictionary(kind) else pd.ArrowDtype(kind)


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is text, plain or as entries of a dictionary."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


# -- from frames ----------------------------------------------------------------------------------


def to_table(rows: Rows) -> pa.Table:
    """Return rows as an Arrow table, without a DataFrame's row numbers.

    Args:
        rows: A DataFrame, an Arrow table, or an object that offers the Arrow C stream.

    Raises:
        TypeError: The rows are another object.
        ValueError: A column's name or values, or the index of a DataFrame, do not fit into a table.
            The message does not hold values.

    Example:
        >>> to_table(pd.DataFrame({"id": ["1", "2"]})).to_pylist()
        [{'id': '1'}, {'id': '2'}]
    """
    if isinstance(rows, pd.DataFrame):
        if any(name is not None for name in rows.index.names):
            raise ValueError(INDEX_REFUSAL)
        _check_names(list(rows.columns))
        table = pa.table({name: _to_column(name, rows[name]) for name in rows.columns})
    else:
        table = rows if isinstance(rows, pa.Table) else _read_stream(rows)
        _check_names(table.column_names)
    _check_types(table.schema)
    return table.replace_schema_metadata(None)


def _read_stream(rows: object) -> pa.Table:
    """Return a table from the Arrow C stream, with types that all parts of Arrow support.

    Raises:
        TypeError: The object does not offer the stream.
        ValueError: The stream cannot be read.
    """
    name = f"{type(rows).__module__}.{type(rows).__qualname__}"
    if not hasattr(rows, "__arrow_c_stream__"):
        raise TypeError(
            f"{name} is not a table. Give a pandas.DataFrame, a pyarrow.Table, or an object that "
            "offers the Arrow C stream, such as a polars.DataFrame."
        )
    try:
        table = pa.table(rows)
        plain = [field.with_type(_get_plain_type(field.type)) for field in table.schema]
        return table.cast(pa.schema(plain))
    except pa.ArrowException as error:
        raise ValueError(
            f"The Arrow stream of {name} could not be read ({type(error).__name__}). It probably "
            "has a type that pyarrow does not support. Give each column one simple type."
        ) from None


def _get_plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type without views, which polars has for text and few parts of Arrow support."""
    if pa.types.is_dictionary(kind):
        value_type = pa.string() if is_text(kind.value_type) else kind.value_type
        return pa.dictionary(pa.int32(), value_type, kind.ordered)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_get_plain_type(kind.value_type))
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    return pa.large_string() if pa.types.is_string_view(kind) else kind


def _to_column(name: str, column: "pd.Series[Any]") -> pa.ChunkedArray:
    """Return one column, so that the error can name it: pyarrow's own message holds values."""
    try:
        frame = pd.DataFrame({name: column})
        arrow = pa.Table.from_pandas(frame, preserve_index=False).column(0)
        if pa.types.is_dictionary(arrow.type) and pa.types.is_null(arrow.type.value_type):
            return pa.chunked_array([pa.nulls(len(arrow), pa.string())])  # no categories
        return arrow
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        raise ValueError(
            f"Column {name!r} (dtype {column.dtype}) has values of several types, or of a type "
            "that a table cannot store. Give it one type, for instance with "
            "astype('string[pyarrow]')."
        ) from None


def _check_types(schema: pa.Schema) -> None:
    """Raise `ValueError` for types that a storage would read as numbers, or not at all."""
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_interval(kind) or getattr(kind, "extension_name", "") in _PANDAS_TYPES:
            raise ValueError(
                f"Column {field.name!r} has periods or intervals ({kind}), which a table cannot "
                "store. Give it as text, with astype('string[pyarrow]'), or periods as their first "
                "moment, with .dt.to_timestamp()."
            )


def _check_names(names: list[object]) -> None:
    """Raise `ValueError` for column names that a table cannot have."""
    others = sum(not isinstance(name, str) or not name for name in names)
    if others:
        raise ValueError(
            f"{others} of {len(names)} columns have a name that is not text, or is blank. Rename "
            "them."
        )
    if len(set(names)) < len(names):
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        raise ValueError(f"Columns occur more than once: {', '.join(twice)}. Rename them.")
