"""The reports of a project."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from redcap_dagster.api.calls.parameters import (
    call_parameters,
    check_one_of,
    check_positive,
    write_flag,
)
from redcap_dagster.api.errors import EmptyResponseError, MalformedResponseError
from redcap_dagster.api.export.reader.csv_reader import empty_batch, open_csv
from redcap_dagster.api.export.reader.records import confirm_empty
from redcap_dagster.api.export.reader.selection import (
    DECIMAL_CHARACTERS,
    DELIMITERS,
    RAW_OR_LABEL,
    get_delimiter,
)
from redcap_dagster.api.http.response import Response
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.frames import Frames, to_frame


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports that people set up in a project.

    Example:
        >>> redcap.reports.export(report)["age"].tolist()
        ['40', '50']
    """

    _transport: Transport
    _frames: Frames

    def export(
        self,
        report_id: int,
        *,
        raw_or_label: str = "raw",
        raw_or_label_headers: str = "raw",
        export_checkbox_label: bool = False,
        decimal_character: str | None = None,
        csv_delimiter: str = ",",
        type: str = "flat",  # noqa: A002 (REDCap's own name)
    ) -> pd.DataFrame:
        """Return the rows of a report as text, with blank cells as nulls (REDCap 6.0).

        Needs the right to API Export.

        Args:
            report_id: The number that REDCap lists with the report.
            raw_or_label: ``raw`` for codes, ``label`` for labels. Defaults to ``raw``.
            raw_or_label_headers: ``raw`` for field names as columns, ``label`` for column labels.
                Defaults to ``raw``.
            export_checkbox_label: With ``raw_or_label="label"``: whether a ticked box has the label
                of its choice instead of ``Checked``. Defaults to False.
            decimal_character: ``.`` or ``,``. Defaults to numbers as they were saved.
            csv_delimiter: Delimiter of the CSV that REDCap sends: ``,``, ``tab``, ``;``, ``|`` or
                ``^``. Defaults to ``,``.
            type: ``flat``, or ``eav``, which REDCap ignores. Defaults to ``flat``.

        Returns:
            The rows. Without rows, some servers send no header; then there are no columns. In a
            report of one column, a second header looks like a cell, and is a row.

        Raises:
            ValueError: REDCap cannot take a parameter. Nothing was sent.
            RefusedError: The report does not exist.
            MalformedResponseError: Several columns have the same label.
            REDCapError: The request failed. The type says why.

        Example:
            >>> redcap.reports.export(report)["age"].tolist()
            ['40', '50']
            >>> redcap.reports.export(report, raw_or_label_headers="label")["Age"].tolist()
            ['40', '50']
        """
        parameters = call_parameters(
            "report",
            report_id=check_positive("report_id", report_id),
            rawOrLabel=check_one_of("raw_or_label", raw_or_label, RAW_OR_LABEL),
            rawOrLabelHeaders=check_one_of(
                "raw_or_label_headers", raw_or_label_headers, RAW_OR_LABEL
            ),
            exportCheckboxLabel=write_flag("export_checkbox_label", export_checkbox_label),
            decimalCharacter=decimal_character
            and check_one_of("decimal_character", decimal_character, DECIMAL_CHARACTERS),
            csvDelimiter=check_one_of("csv_delimiter", csv_delimiter, tuple(DELIMITERS)),
            type=check_one_of("type", type, ("flat", "eav")),
        )
        parameters |= {"format": "csv"}
        try:
            table = self._export_table(parameters)
        except MalformedResponseError as error:
            if raw_or_label_headers == "label":
                error.add_note(
                    "Several fields may have the same label. raw_or_label_headers='raw' always has "
                    "different columns."
                )
            raise
        return to_frame(table, self._frames)

    def _export_table(self, parameters: dict[str, str]) -> pa.Table:
        def receive(response: Response) -> pa.Table:
            return open_csv(response, None, get_delimiter(parameters)).read_all()

        try:
            return self._transport.post("report export", parameters, receive)
        except EmptyResponseError as error:
            empty = error
        confirm_empty(self._transport, "report export", parameters, empty)
        return pa.Table.from_batches([empty_batch(())])
