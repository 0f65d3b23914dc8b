"""Schema evolution: one schema for tables with different columns, without loss of values."""

from collections.abc import Iterable
from functools import reduce

import pyarrow as pa


def find_common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the most specific type that holds the values of both types; text if no other does.

    Example:
        >>> find_common_type(pa.int64(), pa.float64()), find_common_type(pa.float64(), pa.string())
        (DataType(double), DataType(string))
        >>> find_common_type(pa.date32(), pa.timestamp("us"))
        TimestampType(timestamp[us])
        >>> find_common_type(pa.date32(), pa.int64())
        DataType(string)
    """
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if _is_text(one) or _is_text(other):
        return pa.string()
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz and other.tz:
        # The same instants in different time zones.
        return pa.timestamp(
            find_common_type(pa.timestamp(one.unit), pa.timestamp(other.unit)).unit, "UTC"
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


def merge_schemas(stored: pa.Schema, newer: pa.Schema) -> pa.Schema:
    """Return the columns of both schemas, the stored ones first, with the newer descriptions.

    Example:
        >>> newer = pa.schema({"b": pa.bool_(), "a": pa.string()})
        >>> merge_schemas(pa.schema({"a": pa.int64()}), newer)
        a: string
        b: bool
    """
    fields = {field.name: field for field in stored}
    for field in newer:
        known = fields.get(field.name)
        fields[field.name] = (
            field if known is None else field.with_type(find_common_type(known.type, field.type))
        )
    return pa.schema(list(fields.values()))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns and types of a merged schema; missing columns are null.

    Args:
        table: Any table.
        schema: Schema from `merge_schemas`.

    Raises:
        ValueError: A column has values that its new type cannot hold exactly.

    Example:
        >>> schema = pa.schema({"a": pa.float64(), "b": pa.string()})
        >>> conform(pa.table({"a": [1]}), schema).to_pylist()
        [{'a': 1.0, 'b': None}]
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
                f"Column {field.name!r} has different types in different partitions: some of its "
                f"{kind} values would change as {field.type}. Store it as text in every partition."
            ) from None
    return pa.Table.from_arrays(columns, schema=schema)


def concatenate(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of all tables as one table, with their merged schema.

    Args:
        tables: At least one table.

    Raises:
        ValueError: A column has values that its new type cannot hold exactly.

    Example:
        >>> concatenate([pa.table({"a": [1]}), pa.table({"a": ["x"]})])["a"].to_pylist()
        ['1', 'x']
    """
    tables = list(tables)
    schema = reduce(merge_schemas, (table.schema for table in tables))
    return pa.concat_tables([conform(table, schema) for table in tables]).unify_dictionaries()
