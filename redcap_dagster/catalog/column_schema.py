"""The columns of a table in Dagster's catalog: types, labels, constraints, tags, and lineage."""

from collections.abc import Collection, Mapping
from typing import Final

import dagster as dg
import pyarrow as pa

from redcap_dagster.catalog.column_texts import KEY_DESCRIPTIONS, ColumnTexts
from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, column_sources, list_clean_types

INFERRED: Final = "inferred"
"""Tag of a column whose type was inferred from its values."""

_TYPE_NAMES = {
    pa.string(): "text",
    pa.int64(): "integer",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us"): "datetime",
    pa.time64("us"): "time",
}


def instrument_schema(
    columns: pa.Schema, project: REDCapProject, instrument: str, inferred: Collection[str] = ()
) -> dg.TableSchema:
    """Return the schema of an instrument's table, of its records or its clean table.

    Each column has its type, its label with the choices, the constraints of the dictionary
    (``required``, minimum and maximum), the tag ``identifier`` if the dictionary marks it so, and
    the tag ``inferred`` if its type was inferred. The record id is never null, and unique if the
    key has no other columns.

    Args:
        columns: The columns of the table.
        project: The structure.
        instrument: Name of the instrument.
        inferred: Columns whose type was inferred from their values. Defaults to none.
    """
    keys = project.key_columns(instrument)
    texts = ColumnTexts(project, instrument)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                type_name(columns.field(name).type),
                description=texts.describe(name),
                constraints=dg.TableColumnConstraints(
                    nullable=name != project.record_id_field,
                    unique=keys == (name,),
                    other=texts.list_constraints(name),
                ),
                tags={
                    **({"identifier": ""} if texts.is_identifier(name) else {}),
                    **({INFERRED: ""} if name in inferred else {}),
                },
            )
            for name in columns.names
        ],
        constraints=dg.TableConstraints(other=[f"unique key: {', '.join(keys)}"]),
    )


def clean_schema(project: REDCapProject, instrument: str, rules: CleaningRules) -> dg.TableSchema:
    """Return the schema of a clean table that has no rows yet, so that no type is inferred.

    Args:
        project: The structure.
        instrument: Name of the instrument.
        rules: How records become clean tables.
    """
    types = list_clean_types(instrument, project, rules)
    return instrument_schema(pa.schema(types.items()), project, instrument)


def plain_schema(
    table: pa.Table, descriptions: Mapping[str, str] = KEY_DESCRIPTIONS
) -> dg.TableSchema:
    """Return the schema of a table whose columns are not fields of the dictionary.

    Args:
        table: The table.
        descriptions: What columns hold, by name. Defaults to REDCap's own columns.
    """
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, type_name(kind), description=descriptions.get(name))
            for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        ]
    )


def clean_lineage(
    records: dg.AssetKey, instrument: str, project: REDCapProject, rules: CleaningRules
) -> dg.TableColumnLineage:
    """Return the columns of the records that each column of a clean table is made from.

    Args:
        records: Key of the records' asset.
        instrument: Name of the instrument.
        project: The structure.
        rules: How records become clean tables.
    """
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(records, source) for source in sources]
            for name, sources in column_sources(instrument, project, rules).items()
        }
    )


def type_name(kind: pa.DataType) -> str:
    """Return the name of an Arrow type, as in the cleaning rules; a dictionary is a choice."""
    if pa.types.is_list(kind):
        return f"list of {type_name(kind.value_type)}"
    return "choice" if pa.types.is_dictionary(kind) else _TYPE_NAMES.get(kind, str(kind))
