"""What an asset tells of itself: schema, counts, data version. Never a cell value."""

import hashlib
import hmac
import io
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from redcap_dagster.io_managers import to_frame
from redcap_dagster.project import Column, Field, REDCapProject

KEY_DESCRIPTIONS: Mapping[str, str] = {
    "redcap_event_name": "Event",
    "redcap_arm": "Number of the arm",
    "redcap_repeat_instrument": "Repeating instrument",
    "redcap_repeat_instance": "Number of the instance",
    "redcap_data_access_group": "Data access group",
    "redcap_survey_identifier": "Survey identifier",
}

_TYPE_NAMES = {
    pa.string(): "text",
    pa.int64(): "integer",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us"): "datetime",
    pa.time64("us"): "time",
}


def from_frame(frame: pd.DataFrame) -> pa.Table:
    """Give a records table that storage returned as text again, whatever dtypes it has now."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    return pa.table(
        {
            name: column.cast(pa.int64() if name == "redcap_arm" else pa.string())
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )


def instrument_schema(table: pa.Table, project: REDCapProject, form: str) -> dg.TableSchema:
    """Describe the columns of an instrument's table: types, labels, and which are its key."""
    keys = project.key_columns(form)
    columns = {column.name: column for column in project.columns(form)}
    record_id = project.fields[0].field_label or "Record id"
    known = {project.record_id_field: record_id, **KEY_DESCRIPTIONS}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                type_name(table.schema.field(name).type),
                description=_described(columns, name) or known.get(name),
                constraints=dg.TableColumnConstraints(nullable=name != project.record_id_field),
            )
            for name in table.column_names
        ],
        constraints=dg.TableConstraints(other=[f"unique key: {', '.join(keys)}"]),
    )


def plain_schema(table: pa.Table) -> dg.TableSchema:
    """Describe the columns of a table that the dictionary does not speak of."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, type_name(kind), description=KEY_DESCRIPTIONS.get(name))
            for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        ]
    )


def type_name(kind: pa.DataType) -> str:
    """Name an Arrow type the way the rules for cleaning do; dictionaries are choices."""
    if pa.types.is_list(kind):
        return f"list of {type_name(kind.value_type)}"
    return "choice" if pa.types.is_dictionary(kind) else _TYPE_NAMES.get(kind, str(kind))


def _described(columns: Mapping[str, Column], name: str) -> str:
    column = columns.get(name) or columns.get(name.removesuffix("_code"))
    if column is None:
        return _described_field(columns, name)
    choices = _choices(column.field)
    return f"{column.label} [{choices}]" if choices else column.label


def _described_field(columns: Mapping[str, Column], name: str) -> str:
    """Describe a column that is of a field as a whole: a list of boxes, or the missing reasons."""
    for column in columns.values():
        label = column.field.field_label
        if name in (column.field.field_name, f"{column.field.field_name}_code"):
            return label
        if name == f"{column.field.field_name}_missing":
            return f"Why a value is missing: {label}"
    return ""


def _choices(field: Field) -> str:
    if field.field_type not in ("radio", "dropdown"):
        return ""
    return " | ".join(f"{choice.code}, {choice.label}" for choice in field.choices)


def asset_result(
    spec: dg.AssetSpec,
    table: pa.Table,
    schema: dg.TableSchema,
    digest_key: bytes,
    check_results: Sequence[dg.AssetCheckResult] = (),
    **entries: Any,
) -> dg.MaterializeResult[Any]:
    """Give a table to be stored, with what it tells of itself.

    Args:
        spec: Its asset.
        table: What to store.
        schema: Its columns.
        digest_key: The key of its data version.
        check_results: What its checks found.
        entries: More of its metadata; see `describe`.
    """
    return dg.MaterializeResult(
        asset_key=spec.key,
        value=to_frame(table),
        metadata=describe(table, schema, **entries),
        check_results=check_results,
        data_version=data_version(table, digest_key),
    )


def describe(table: pa.Table, schema: dg.TableSchema, **entries: Any) -> dict[str, Any]:
    """Give the metadata of a materialized table.

    Args:
        table: What was stored.
        schema: Its columns.
        entries: More of it, in the namespace ``redcap``: names and counts, never values.
    """
    return {
        "dagster/row_count": table.num_rows,
        "dagster/column_schema": schema,
        **{f"redcap/{name}": entry for name, entry in entries.items()},
    }


def data_version(table: pa.Table, key: bytes) -> dg.DataVersion:
    """Tell whether a table is the same as another time, from names, types and cells.

    The hash is keyed: without the key, which goes with the project's token, nobody can test a
    guess at the table's content against it. How Arrow has cut the table into chunks is no matter.
    """
    digest = hmac.new(key, repr(_signature(table)).encode(), hashlib.sha256)
    plain = pa.table(
        [_as_plain(column) for column in table.columns],
        names=table.column_names,
    )
    without_header = pyarrow.csv.WriteOptions(include_header=False)
    for batch in plain.to_batches(max_chunksize=50_000):
        text = io.BytesIO()
        pyarrow.csv.write_csv(batch, text, without_header)  # quotes text: blank and null differ
        digest.update(text.getbuffer())
    return dg.DataVersion(digest.hexdigest()[:32])


def _as_plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Make a column what a CSV can hold."""
    if pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    if pa.types.is_list(column.type):
        return pc.binary_join(column, "\x1f")
    return column


def _signature(table: pa.Table) -> list[tuple[str, str]]:
    return [
        (name, type_name(kind))
        for name, kind in zip(table.schema.names, table.schema.types, strict=True)
    ]
