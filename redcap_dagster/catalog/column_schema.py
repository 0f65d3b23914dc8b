"""The columns of a table in Dagster's catalog: types, labels, constraints, tags, and lineage."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

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
from redcap_dagster.tables import CleaningRules, column_sources, list_clean_types

KEY_DESCRIPTIONS: Mapping[str, str] = {
    EVENT_NAME: "Event",
    ARM: "Number of the arm",
    REPEAT_INSTRUMENT: "Repeating instrument",
    REPEAT_INSTANCE: "Number of the instance",
    ACCESS_GROUP: "Data access group",
    SURVEY_IDENTIFIER: "Survey identifier",
}

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
    texts = InstrumentColumns(project, instrument)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                type_name(columns.field(name).type),
                description=texts.description(name),
                constraints=dg.TableColumnConstraints(
                    nullable=name != project.record_id_field,
                    unique=keys == (name,),
                    other=texts.constraints(name),
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


class InstrumentColumns:
    """The columns of an instrument's tables, with the dictionary's text about their fields.

    Args:
        project: The structure.
        instrument: Name of the instrument.
    """

    def __init__(self, project: REDCapProject, instrument: str) -> None:
        record_id = project.fields[0]
        self._keys = {
            record_id.field_name: record_id.field_label or "Record id",
            **KEY_DESCRIPTIONS,
        }
        self._columns = {column.name: column for column in project.columns(instrument)}
        self._exported: dict[str, list[str]] = {}
        for column in self._columns.values():
            self._exported.setdefault(column.field.field_name, []).append(column.name)
        self._fields = {field.field_name: field for field in project.instrument_fields(instrument)}
        self._fields[record_id.field_name] = record_id

    def description(self, name: str) -> str:
        """Return the label of a column, with the choices of its field."""
        field = self._field(name)
        if field is None or name in self._keys or self.holds_reasons(name):
            return self.label(name)
        choices = _choices(field)
        return f"{self.label(name)} [{choices}]" if choices else self.label(name)

    def label(self, name: str) -> str:
        """Return the label of a column."""
        if name in self._columns:
            return self._columns[name].label
        field = self._field(name)
        if name in self._keys or field is None:
            return self._keys.get(name, "")
        if self.holds_reasons(name):
            return f"Why a value is missing: {field.field_label}"
        return field.field_label

    def holds_values(self, name: str) -> bool:
        """Whether a column holds the values of a field, as it does in an export or in a list.

        Others are keys, or belong to such a column: codes, or reasons for missing values.
        """
        return name in self._columns or name in self._exported

    def holds_reasons(self, name: str) -> bool:
        """Whether a column holds the reasons for the missing values of a field."""
        field = self._field(name)
        return field is not None and name == f"{field.field_name}_missing"

    def exported(self, name: str) -> Sequence[str]:
        """Return the columns of an export that a column of values or of codes is made from."""
        field = self._field(name)
        if name in self._columns or field is None:
            return [name]
        return self._exported.get(field.field_name, [])

    def constraints(self, name: str) -> list[str]:
        """Return what the dictionary demands of a column."""
        field = self._field(name)
        if field is None or name != field.field_name:
            return []
        limits = {"min": field.text_validation_min, "max": field.text_validation_max}
        required = ["required"] if field.is_required else []
        return [*required, *(f"{end} {limit}" for end, limit in limits.items() if limit)]

    def is_identifier(self, name: str) -> bool:
        """Whether the values of a column identify people."""
        field = self._field(name)
        return name == SURVEY_IDENTIFIER or (field is not None and field.is_identifier)

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
