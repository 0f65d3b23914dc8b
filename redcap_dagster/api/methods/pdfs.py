"""Instruments as PDF."""

from dataclasses import dataclass
from pathlib import Path

from redcap_dagster.api.calls.parameters import call_parameters, check_positive, write_flag
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.files import REDCapFile, existing_folder, receive_file, save_file
from redcap_dagster.api.methods.project_names import ProjectNames


@dataclass(frozen=True, slots=True)
class PDFs:
    """Instruments as PDF, blank or filled in.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     client.pdfs.export(instrument="visit").content[:5]
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
        """Export instruments as a PDF.

        Needs the right to API Export.

        Args:
            record: Filled in with this record's data; None for blank forms.
            event: Only this event of the record.
            instrument: Only this form.
            repeat_instance: Only this instance.
            all_records: With the data of all records.
            compact_display: Without fields and choices that nobody filled in (REDCap 11.4.4).

        Raises:
            ValueError: A record together with all records, or the project has no such form or
                event; no PDF was asked for.
            REDCapError: Of the type that says what is wrong.

        Example:
            >>> redcap.pdfs.export(record="1", instrument="visit").mime_type
            'application/pdf'
        """
        wanted = _asked(record, event, instrument, repeat_instance, all_records, compact_display)
        self._names.check_place(form=instrument, event=event)
        return self._transport.post("pdf export", wanted, receive_file)

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
        """Export a PDF like `export` into a folder; see `Files.save`.

        Example:
            >>> redcap.pdfs.save(folder, instrument="visit").suffix
            '.pdf'
        """
        wanted = _asked(record, event, instrument, repeat_instance, all_records, compact_display)
        path = existing_folder(folder)
        self._names.check_place(form=instrument, event=event)
        return save_file(self._transport, "pdf export", wanted, path)


def _asked(
    record: str | int | None,
    event: str | None,
    instrument: str | None,
    repeat_instance: int | None,
    all_records: bool,
    compact_display: bool,
) -> dict[str, str]:
    if all_records and record is not None:
        raise ValueError("all_records: give one record or all of them, not both.")
    return call_parameters(
        "pdf",
        record=record,
        event=event,
        instrument=instrument,
        repeat_instance=check_positive("repeat_instance", repeat_instance),
        # Any value counts for yes, so that there is none for no.
        allRecords=write_flag("all_records", all_records),
        compactDisplay=write_flag("compact_display", compact_display),
    )
