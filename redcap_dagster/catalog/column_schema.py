"""The columns of a table in Dagster's catalog: types, labels, constraints, tags, and lineage."""

from collections.abc import Mapping

import dagster as dg
import pyarrow as pa

from redcap_dagster.project import Field, REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    ARM,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
)
from redcap_dagster.tables import CleaningRules, column_sources

KEY_DESCRIPTIONS: Mapping[str, str] = {
    EVENT_NAME: "Event",
    ARM: "Number of the arm",
    REPEAT_INSTRUMENT: "Repeating instrument",
    REPEAT_INSTANCE: "Number of the instance",
    ACCESS_GROUP: "Data access group",
    SURVEY_IDENTIFIER: "Survey identifier",
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


def instrument_schema(table: pa.Table, project: REDCapProject, instrument: str) -> dg.TableSchema:
    """Return the schema of an instrument's table, of its records or its clean table.

    Each column has its type, its label with the choices, the constraints of the dictionary
    (``required``, minimum and maximum), and the tag ``identifier`` if the dictionary marks it so.
    The record id is never null, and unique if the key has no other columns.

    Args:
        table: The table.
        project: The structure.
        instrument: Name of the instrument.
    """
    keys = project.key_columns(instrument)
    columns = _InstrumentColumns(project, instrument)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                type_name(table.schema.field(name).type),
                description=columns.description(name),
                constraints=dg.TableColumnConstraints(
                    nullable=name != project.record_id_field,
                    unique=keys == (name,),
                    other=columns.constraints(name),
                ),
                tags={"identifier": ""} if columns.is_identifier(name) else {},
            )
            for name in table.column_names
        ],
        constraints=dg.TableConstraints(other=[f"unique key: {', '.join(keys)}"]),
    )


def plain_schema(table: pa.Table) -> dg.TableSchema:
    """Return the schema of a table whose columns are not fields of the dictionary."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, type_name(kind), description=KEY_DESCRIPTIONS.get(name))
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


class _InstrumentColumns:
    """The columns of an instrument's tables, with the dictionary's text about their fields."""

    def __init__(self, project: REDCapProject, instrument: str) -> None:
        record_id = project.fields[0]
        self._keys = {
            record_id.field_name: record_id.field_label or "Record id",
            **KEY_DESCRIPTIONS,
        }
        self._columns = {column.name: column for column in project.columns(instrument)}
        self._fields = {field.field_name: field for field in project.instrument_fields(instrument)}
        self._fields[record_id.field_name] = record_id

    def description(self, name: str) -> str:
        column = self._columns.get(name) or self._columns.get(name.removesuffix("_code"))
        if column is not None:
            choices = _choices(column.field)
            return f"{column.label} [{choices}]" if choices else column.label
        field = self._field(name)
        if name in self._keys or field is None:
            return self._keys.get(name, "")
        if name == f"{field.field_name}_missing":
            return f"Why a value is missing: {field.field_label}"
        return field.field_label

    def constraints(self, name: str) -> list[str]:
        field = self._field(name)
        if field is None or name != field.field_name:
            return []
        limits = {"min": field.text_validation_min, "max": field.text_validation_max}
        required = ["required"] if field.required_field.lower() == "y" else []
        return [*required, *(f"{end} {limit}" for end, limit in limits.items() if limit)]

    def is_identifier(self, name: str) -> bool:
        field = self._field(name)
        return name == SURVEY_IDENTIFIER or (field is not None and field.identifier.lower() == "y")

    def _field(self, name: str) -> Field | None:
        """Return the field that a column belongs to, alone or as one of its checkboxes."""
        if name in self._columns:
            return self._columns[name].field
        for suffix in ("", "_code", "_missing"):
            if name.endswith(suffix) and name.removesuffix(suffix) in self._fields:
                return self._fields[name.removesuffix(suffix)]
        return None


def _choices(field: Field) -> str:
    if field.field_type not in ("radio", "dropdown"):
        return ""
    return " | ".join(f"{choice.code}, {choice.label}" for choice in field.choices)
