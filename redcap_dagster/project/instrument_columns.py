"""The fields and export columns of each instrument of a project."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from redcap_dagster.project.columns import Column, describe_column, status_field, timestamp_field
from redcap_dagster.project.export_columns import ExportColumns
from redcap_dagster.project.rows import Field, StructureError


@dataclass(frozen=True)
class InstrumentColumns:
    """The fields and export columns of a project's instruments; each instrument is listed once.

    Attributes:
        dictionary: Data dictionary; its first field is the record id.
        instruments: Names of the instruments.
        surveys: Names of the instruments that are surveys.
        export_columns: Export columns of one field.

    Example:
        >>> dictionary = (Field("record_id", "visit"), Field("weight", "visit"))
        >>> columns = InstrumentColumns(dictionary, ["visit"], [], ExportColumns({}, ()))
        >>> [column.name for column in columns.list_columns("visit")]
        ['weight', 'visit_complete']
    """

    dictionary: Sequence[Field]
    instruments: Sequence[str]
    surveys: Collection[str]
    export_columns: ExportColumns

    def list_fields(self, instrument: str) -> tuple[Field, ...]:
        """Return the fields of an instrument's table; see `REDCapProject.instrument_fields`."""
        timestamp = (timestamp_field(instrument),) * (instrument in self.surveys)
        return (
            *timestamp,
            *self._dictionary_by_instrument.get(instrument, ()),
            status_field(instrument),
        )

    def list_columns(self, instrument: str) -> tuple[Column, ...]:
        """Return the export columns of an instrument; see `REDCapProject.columns`."""
        known = self._columns_by_instrument
        if instrument not in known:
            known[instrument] = tuple(
                column
                for field in self.list_fields(instrument)
                for column in self.export_columns.list_columns(field)
            )
        return known[instrument]

    def check_options(self, instrument: str) -> None:
        """Raise an error if two options of a checkbox have the same export column.

        Raises:
            StructureError: REDCap exports two codes of a checkbox as one column.
        """
        for field in self.list_fields(instrument):
            self.export_columns.check_options(field)

    def check_columns(self, instrument: str) -> None:
        """Raise an error if a column of an instrument is exported for something else as well.

        Raises:
            StructureError: Two fields, options or instruments have the same export column. The
                message names them.
        """
        self.check_options(instrument)
        for name in (column.name for column in self.list_columns(instrument)):
            owners = self._columns_by_name[name]
            if len(owners) > 1:
                raise StructureError(
                    f"REDCap exports {' and '.join(map(describe_column, owners))} as one column, "
                    f"{name!r}, so their values cannot be told apart. Rename one of them in REDCap."
                )

    @cached_property
    def _dictionary_by_instrument(self) -> Mapping[str, Sequence[Field]]:
        """The fields with values of each instrument, without the record id."""
        fields: dict[str, list[Field]] = {}
        for field in self.dictionary[1:]:
            if field.field_type != "descriptive":
                fields.setdefault(field.form_name, []).append(field)
        return fields

    @cached_property
    def _columns_by_instrument(self) -> dict[str, tuple[Column, ...]]:
        """The columns of the instruments that were asked for: many do, and none changes them."""
        return {}

    @cached_property
    def _columns_by_name(self) -> Mapping[str, Sequence[Column]]:
        """The columns of the record id and of all instruments by name; usually one each."""
        record_id = self.dictionary[0]
        columns = {record_id.field_name: [Column(record_id.field_name, record_id)]}
        for instrument in self.instruments:
            for column in self.list_columns(instrument):
                columns.setdefault(column.name, []).append(column)
        return columns
