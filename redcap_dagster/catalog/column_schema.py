"""What an asset tells of its columns: types, labels, constraints, and what they are made of."""

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
_IDENTIFIERS = (SURVEY_IDENTIFIER,)
"""Columns that identify somebody by REDCap's own doing."""

_TYPE_NAMES = {
    pa.string(): "text",
    pa.int64(): "integer",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us"): "datetime",
    pa.time64("us"): "time",
}


def instrument_schema(table: pa.Table, project: REDCapProject, form: str) -> dg.TableSchema:
    """Describe the columns of an instrument's table, records or clean.

    Each has its type, its label with the choices, what the dictionary asks of it (``required``, a
    minimum and a maximum), and the tag ``identifier`` where the dictionary says that it is one. The
    record id is never null, and unique where it is the whole key.
    """
    keys = project.key_columns(form)
    described = _Columns(project, form)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                type_name(table.schema.field(name).type),
                description=described.description(name),
                constraints=dg.TableColumnConstraints(
                    nullable=name != project.record_id_field,
                    unique=keys == (name,),
                    other=described.demands(name),
                ),
                tags={"identifier": ""} if described.is_identifier(name) else {},
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


def clean_lineage(
    records: dg.AssetKey, form: str, project: REDCapProject, rules: CleaningRules
) -> dg.TableColumnLineage:
    """Say which columns of the records each column of a clean table is made of."""
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(records, source) for source in sources]
            for name, sources in column_sources(form, project, rules).items()
        }
    )


def type_name(kind: pa.DataType) -> str:
    """Name an Arrow type the way the rules for cleaning do; dictionaries are choices."""
    if pa.types.is_list(kind):
        return f"list of {type_name(kind.value_type)}"
    return "choice" if pa.types.is_dictionary(kind) else _TYPE_NAMES.get(kind, str(kind))


class _Columns:
    """The columns of an instrument's tables, by what the dictionary says of their fields."""

    def __init__(self, project: REDCapProject, form: str) -> None:
        record_id = project.fields[0]
        self._keys = {
            record_id.field_name: record_id.field_label or "Record id",
            **KEY_DESCRIPTIONS,
        }
        self._columns = {column.name: column for column in project.columns(form)}
        self._fields = {field.field_name: field for field in project.instrument_fields(form)}
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

    def demands(self, name: str) -> list[str]:
        field = self._field(name)
        if field is None or name != field.field_name:
            return []
        limits = {"min": field.text_validation_min, "max": field.text_validation_max}
        required = ["required"] if field.required_field.lower() == "y" else []
        return [*required, *(f"{end} {limit}" for end, limit in limits.items() if limit)]

    def is_identifier(self, name: str) -> bool:
        field = self._field(name)
        return name in _IDENTIFIERS or (field is not None and field.identifier.lower() == "y")

    def _field(self, name: str) -> Field | None:
        """Give the field that a column is of, as a whole or one of its boxes."""
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
