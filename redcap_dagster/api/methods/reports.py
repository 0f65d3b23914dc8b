"""Reports that were set up in a project."""

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


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports of a project.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     done = client.records.import_([{"record_id": 1}])
        ...     report = redcap.add_report(token, ["record_id"])  # people do this in REDCap
        ...     client.reports.export(report)["record_id"].tolist()
        ['1']
    """

    _transport: Transport

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
        """Export a report's rows as text, with blank cells as nulls (REDCap 6.0).

        Needs the right to API Export.

        Args:
            report_id: The number that REDCap lists with the report.
            raw_or_label: ``raw`` for codes, ``label`` for labels.
            raw_or_label_headers: ``raw`` for names of fields as columns, ``label`` for labels.
            export_checkbox_label: With ``label``: the option's label instead of ``Checked``.
            decimal_character: ``.`` or ``,``; None as the values were saved.
            csv_delimiter: Between two cells on the way: ``,``, ``tab``, ``;``, ``|`` or ``^``.
            type: ``flat`` or ``eav``, which REDCap ignores: reports are flat.

        Returns:
            The rows, backed by Arrow. A server that sends no header for no rows gives no column.

        Raises:
            ValueError: A parameter that REDCap cannot take; nothing was sent.
            RefusedError: There is no such report.
            MalformedResponseError: Two columns have one label, so that they cannot be told apart.
            REDCapError: Of the type that says what is wrong.

        Example:
            >>> redcap.reports.export(report)["age"].tolist()
            ['40', '50']
            >>> redcap.reports.export(report, raw_or_label_headers="label")["Age"].tolist()
            ['40', '50']
        """
        wanted = call_parameters(
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
        wanted |= {"format": "csv"}
        try:
            table = self._rows(wanted)
        except MalformedResponseError as error:
            if raw_or_label_headers == "label":
                error.add_note("Several fields may have one label; raw headers always differ.")
            raise
        frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def _rows(self, wanted: dict[str, str]) -> pa.Table:
        def receive(response: Response) -> pa.Table:
            return open_csv(response, None, get_delimiter(wanted)).read_all()

        try:
            return self._transport.post("report export", wanted, receive)
        except EmptyResponseError as error:
            empty = error
        confirm_empty(self._transport, "report export", wanted, empty)
        return pa.Table.from_batches([empty_batch(())])
