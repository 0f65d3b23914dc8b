"""Exports of records, as methods of the client."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Unpack

import pandas as pd
import pyarrow as pa

from redcap_dagster.api.calls.parameters import check_one_of, check_required
from redcap_dagster.api.calls.project_structure import ProjectStructure
from redcap_dagster.api.export.download.fetcher import ExportSettings
from redcap_dagster.api.export.download.progress import Report
from redcap_dagster.api.export.plan.query import DATES, Among
from redcap_dagster.api.export.reader.header_labels import label_columns
from redcap_dagster.api.export.reader.selection import (
    RAW_OR_LABEL,
    RecordSelection,
    add_record_id,
    check_selection,
)
from redcap_dagster.api.export.single_request import export_at_once, stream_at_once
from redcap_dagster.api.export.small_export import export_table
from redcap_dagster.api.export.snapshot import RecordExport, take_snapshot
from redcap_dagster.api.export.verification.census import check_complete, read_census
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames
from redcap_dagster.api.methods.structure import StructureExports
from redcap_dagster.frames import Frames, get_text_type, to_frame


class RecordExports(StructureExports):
    """The records of a project: exported as a table, as a snapshot, or as a stream."""

    _transport: Transport
    _names: ProjectNames
    _settings: ExportSettings
    _frames: Frames

    def export_records(
        self,
        *,
        raw_or_label_headers: str = "raw",
        records_where: str | None = None,
        **selection: Unpack[RecordSelection],
    ) -> pd.DataFrame:
        """Return records as text, with blank cells as nulls.

        Args:
            raw_or_label_headers: ``raw`` for column names, ``label`` for column labels, which take
                a second request. Labels of several columns have the column name added. Defaults to
                ``raw``.
            records_where: REDCap logic that a row of each record has to match: such records are
                exported with all their rows, unlike with ``filter_logic``, which selects rows.
                Defaults to all records.
            **selection: The records and fields to export; see `RecordSelection`. Defaults to all.

        Returns:
            One row per record, event and instance, in REDCap's order. Without rows, newer servers
            send no header; then the record id is the only column.

        Raises:
            TypeError: A parameter is misspelled or has another type. Nothing was sent.
            ValueError: REDCap cannot take a parameter, or the project does not have such a field,
                instrument or event.
            MalformedResponseError: Rows have no record id, or are duplicate rows.
            ResponseMismatchError: The response does not belong to its request.
            IncompleteExportError: Records are missing.
            REDCapError: The request failed. The type says why.

        Example:
            >>> redcap.export_records(fields=["age"])["age"].tolist()
            ['40', '50']
            >>> redcap.export_records(fields=["age"], raw_or_label_headers="label").columns[-1]
            'Age'
            >>> redcap.export_records(records_where="[age] > 40")["record_id"].unique().tolist()
            ['2']
        """
        labeled = (
            check_one_of("raw_or_label_headers", raw_or_label_headers, RAW_OR_LABEL) == "label"
        )
        text = get_text_type(self._frames)
        table = self._export_table(replace(self._settings, text=text), records_where, selection)
        if labeled:
            table = label_columns(self._transport, *self._write_parameters(selection), table)
        return to_frame(table, self._frames)

    def export_records_table(
        self, *, records_where: str | None = None, **selection: Unpack[RecordSelection]
    ) -> pa.Table:
        """Return records like `export_records`, as an Arrow table."""
        return self._export_table(self._settings, records_where, selection)

    def _export_table(
        self, settings: ExportSettings, records_where: str | None, selection: RecordSelection
    ) -> pa.Table:
        if records_where is not None:
            check_required("records_where", records_where)
        parameters, _ = self._write_parameters(selection)
        limits = settings.limits
        others = sum(not name.startswith("records[") for name in parameters)
        filtered = records_where or any(selection.get(name) for name in DATES)
        if limits.max_cells is None and not filtered and others < limits.max_names:
            return self._names.use_current(
                lambda: export_at_once(
                    self._transport, parameters, self._names.project, settings.text
                )
            )
        return self._names.use_current(
            lambda: export_table(
                self._transport,
                self._names.dictionary,
                self.export_structure,
                selection,
                settings,
                records_where,
            )
        )

    def export_snapshot(
        self,
        structure: ProjectStructure | None = None,
        *,
        among: Among | None = None,
        records_where: str | None = None,
        report: Report | None = None,
        **selection: Unpack[RecordSelection],
    ) -> RecordExport:
        """Return a consistent snapshot of records, verified against REDCap's census.

        Args:
            structure: The result of `export_structure`. Defaults to a new export.
            among: Returns the rows of a listing of all records that are to be exported, by their
                record ids: for a part of a project with too many records to name. Defaults to all
                rows.
            records_where: REDCap logic that a row of each record has to match. Defaults to all
                records.
            report: Is called with the progress of an export that takes several requests. Defaults
                to a bar in a terminal or a notebook.
            **selection: The records and fields to export; see `RecordSelection`. Of named
                ``records``, those that REDCap does not list are ignored. Access groups are left out
                where the token's user may not see them. Defaults to all.

        Raises:
            TypeError: A parameter is misspelled or has another type. Nothing was sent.
            ValueError: REDCap cannot take a parameter, or the project does not have such a field,
                instrument or event.
            IncompleteExportError: Records are missing. The message has their number.
            ResponseMismatchError: A response does not belong to its request.
            ProjectChangedError: The project is no longer as `structure` says.
            REDCapError: A request failed. The type says why.

        Example:
            >>> export = redcap.export_snapshot(forms=["visit"])
            >>> export.table.num_rows, export.consistent
            (2, True)
        """
        check_selection(**selection)  # before anything is sent
        if records_where is not None:
            check_required("records_where", records_where)

        def export() -> RecordExport:
            own = structure or self.export_structure()
            self._names.set_dictionary(own.metadata)
            self._names.check_selection(selection)
            return take_snapshot(
                self._transport,
                own,
                selection,
                self._settings,
                among,
                report,
                records_where=records_where,
            )

        return export() if structure else self._names.use_current(export)

    def stream_records(self, **selection: Unpack[RecordSelection]) -> Iterator[pa.RecordBatch]:
        """Yield records like `export_records`, in Arrow batches as they are received.

        There is at least one batch. The export is one request, which is not checked against the
        census. If the response breaks off, or has duplicate rows, this raises: the batches until
        then are incomplete.

        Example:
            >>> sum(batch.num_rows for batch in redcap.stream_records(fields=["age"]))
            2
        """
        parameters, _ = self._write_parameters(selection)

        def begin() -> Iterator[pa.RecordBatch]:
            batches = stream_at_once(self._transport, parameters, self._names.project)
            return chain([next(batches)], batches)

        return chain.from_iterable(self._names.use_current(begin) for _ in range(1))

    def export_census(self) -> pa.Table:
        """Return the census: one row per record and event that REDCap lists, as text.

        Its columns are the record id and, where the project has them, event, access group and
        survey identifier.

        Example:
            >>> redcap.export_census()["record_id"].to_pylist()
            ['1', '2']
        """
        return read_census(self._transport, self._names.record_id_field)

    def check_complete(
        self, export: pa.Table, census: pa.Table, events: Sequence[str] | None = None
    ) -> None:
        """Raise unless an export has every record of the census taken before it.

        REDCap has been seen to leave records out of large responses without an error. Where a
        record is missing, the census is taken twice again, as it may have been deleted meanwhile:
        then both lack it.

        Args:
            export: All records, of any instruments, as `export_records_table` returns them.
            census: The result of `export_census` before that export.
            events: Events of the exported instruments. Defaults to all events.

        Raises:
            IncompleteExportError: Records are missing. The message has their number.

        Example:
            >>> census = redcap.export_census()
            >>> redcap.check_complete(redcap.export_records_table(), census)
        """
        check_complete(self._transport, export, census, events, self._names.record_id_field)

    def _write_parameters(self, selection: RecordSelection) -> tuple[dict[str, str], str]:
        """Return the parameters of a record export, and the record id field."""
        parameters = check_selection(**selection)
        record_id_field = self._names.record_id_field
        self._names.check_selection(selection)
        return add_record_id(parameters, record_id_field), record_id_field
