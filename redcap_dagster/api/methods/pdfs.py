"""Instruments as PDF files."""

from dataclasses import dataclass
from pathlib import Path

from redcap_dagster.api.calls.file_response import REDCapFile, check_folder, export_file, save_file
from redcap_dagster.api.calls.parameters import call_parameters, check_positive, write_flag
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames


@dataclass(frozen=True, slots=True)
class PDFs:
    """Instruments as PDF files, blank or with data.

    Example:
        >>> redcap.pdfs.export(instrument="visit").content[:5]
        b'%PDF-'
    """

    _transport: Transport
    _names: ProjectNames

    def export(
        self,
        *,
        record: str | int | None = None,
        event: str | None = None,
        instrument: str | None = None,
        repeat_instance: int | None = None,
        all_records: bool = False,
        compact_display: bool = False,
    ) -> REDCapFile:
        """Return instruments as a PDF file. Needs the right to API Export.

        Args:
            record: Record whose data to fill in. Defaults to blank instruments.
            event: Event to export. Defaults to all events.
            instrument: Instrument to export. Defaults to all instruments.
            repeat_instance: Instance to export. Defaults to all instances.
            all_records: Whether to fill in the data of all records. Defaults to False.
            compact_display: Whether to leave out blank fields and unselected choices (REDCap
                11.4.4). Defaults to False.

        Raises:
            ValueError: A record and all records were given, or the project does not have such an
                instrument or event. No PDF was requested.
            REDCapError: The request failed. The type says why.

        Example:
            >>> redcap.pdfs.export(record="1", instrument="visit").mime_type
            'application/pdf'
        """
        parameters = self._write_parameters(
            record, event, instrument, repeat_instance, all_records, compact_display
        )
        return export_file(self._transport, "pdf export", parameters)

    def save(
        self,
        folder: str | Path,
        *,
        record: str | int | None = None,
        event: str | None = None,
        instrument: str | None = None,
        repeat_instance: int | None = None,
        all_records: bool = False,
        compact_display: bool = False,
    ) -> Path:
        """Save a PDF file like `export` in a folder, and return its path; see `Files.save`.

        Example:
            >>> redcap.pdfs.save(folder, instrument="visit").suffix
            '.pdf'
        """
        path = check_folder(folder)
        parameters = self._write_parameters(
            record, event, instrument, repeat_instance, all_records, compact_display
        )
        return save_file(self._transport, "pdf export", parameters, path)

    def _write_parameters(
        self,
        record: str | int | None,
        event: str | None,
        instrument: str | None,
        repeat_instance: int | None,
        all_records: bool,
        compact_display: bool,
    ) -> dict[str, str]:
        if all_records and record is not None:
            raise ValueError("all_records: a record is given too. Give one of them, not both.")
        parameters = call_parameters(
            "pdf",
            record=record,
            event=event,
            instrument=instrument,
            repeat_instance=check_positive("repeat_instance", repeat_instance),
            # REDCap takes any value for yes, so no value is sent for no.
            allRecords=write_flag("all_records", all_records),
            compactDisplay=write_flag("compact_display", compact_display),
        )
        self._names.check_place(form=instrument, event=event)
        return parameters
