"""One table out of tables whose columns changed meanwhile: types widen, and nothing is lost."""

from collections.abc import Iterable
from functools import reduce

import pyarrow as pa


def widen_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Find the narrowest type that takes the values of both; where none does, that is text.

    Example:
        >>> widen_type(pa.int64(), pa.float64()), widen_type(pa.float64(), pa.string())
        (DataType(double), DataType(string))
        >>> widen_type(pa.date32(), pa.timestamp("us")), widen_type(pa.date32(), pa.int64())
        (TimestampType(timestamp[us]), DataType(string))
    """
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if _is_text(one) or _is_text(other):
        return pa.string()
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz and other.tz:
        # The same moments, told in different zones.
        return pa.timestamp(
            widen_type(pa.timestamp(one.unit), pa.timestamp(other.unit)).unit, "UTC"
        )
    for date, moment in ((one, other), (other, one)):
        if pa.types.is_date(date) and pa.types.is_timestamp(moment) and not moment.tz:
            return moment
    fields = [pa.schema([pa.field("column", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(fields, promote_options="permissive").field(0).type
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.string()


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in (*tests, pa.types.is_dictionary))


def widen_schema(stored: pa.Schema, newer: pa.Schema) -> pa.Schema:
    """Give the columns of both, the stored ones first; descriptions are the newer ones.

    Example:
        >>> newer = pa.schema({"b": pa.bool_(), "a": pa.string()})
        >>> widen_schema(pa.schema({"a": pa.int64()}), newer)
        a: string
        b: bool
    """
    fields = {field.name: field for field in stored}
    for field in newer:
        known = fields.get(field.name)
        fields[field.name] = (
            field if known is None else field.with_type(widen_type(known.type, field.type))
        )
    return pa.schema(list(fields.values()))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a table the columns of a wider schema; those that it has not are null.

    Raises:
        ValueError: A column holds values that its wider type cannot hold exactly.
    """
    columns = []
    for field in schema:
        position = table.schema.get_field_index(field.name)
        if position < 0 or pa.types.is_null(table.schema.field(position).type):
            columns.append(pa.nulls(len(table), field.type))
            continue
        try:
            columns.append(table.column(position).cast(field.type))
        except pa.ArrowException:
            kind = table.schema.field(position).type
            raise ValueError(
                f"Column {field.name!r} was stored with different types, and as {field.type} some "
                f"of its {kind} values would change. Store it as text in every partition."
            ) from None
    return pa.Table.from_arrays(columns, schema=schema)


def concatenate(tables: Iterable[pa.Table]) -> pa.Table:
    """Put tables below each other, in one schema that is wide enough for all of them.

    Raises:
        ValueError: As of `conform`.
    """
    tables = list(tables)
    schema = reduce(widen_schema, (table.schema for table in tables))
    return pa.concat_tables([conform(table, schema) for table in tables]).unify_dictionaries()
