"""Records: import, delete, rename, randomize; and the export of single values."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Unpack

import pandas as pd
import pyarrow as pa

from redcap_dagster.api.calls.import_data import Importable, check_columns, read_rows
from redcap_dagster.api.calls.parameters import (
    call_parameters,
    check_one_of,
    check_positive,
    check_required,
    write_flag,
    write_list,
)
from redcap_dagster.api.calls.rows import export_line, read_count
from redcap_dagster.api.errors import REDCapError
from redcap_dagster.api.export.reader.records import read_records, read_values
from redcap_dagster.api.export.reader.selection import DELIMITERS, RecordSelection, check_selection
from redcap_dagster.api.http.response import Response, malformed_error, read_json
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames
from redcap_dagster.api.methods.record_import import (
    CellChange,
    ImportTarget,
    RecordImport,
    Row,
    Shape,
    batches,
    compare,
    read_accepted,
    read_import,
)
from redcap_dagster.project.system_columns import ACCESS_GROUP, REPEAT_INSTANCE, SURVEY_IDENTIFIER

REQUEST: Final = "record import"
_DATE_FORMATS: Final = ("YMD", "MDY", "DMY")
_OVERWRITES: Final = ("normal", "overwrite")
_RETURNED: Final = ("count", "ids", "auto_ids", "nothing")
_NOTHING: Final = pa.table({})


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a project, beyond the exports that the client itself has.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     done = client.records.import_([{"record_id": 1}, {"record_id": 2}])
        ...     client.records.rename("2", "7")
        ...     done.records, client.records.delete(["7"])
        (('1', '2'), 1)
    """

    _transport: Transport
    _names: ProjectNames

    def export_eav(self, **selection: Unpack[RecordSelection]) -> pd.DataFrame:
        """Export one row per value that is not blank (``type=eav``), as text.

        Needs the right to API Export.

        Args:
            **selection: See `RecordSelection`.

        Returns:
            ``record``, event and instance where the project has them, ``field_name``, ``value``;
            a checkbox has a row for each ticked box, with its code.

        Raises:
            TypeError: A parameter of another type; nothing was sent.
            ValueError: REDCap cannot take it, or the project has no such field, form or event.
            REDCapError: Of the type that says what is wrong.

        Example:
            >>> redcap.records.export_eav(fields=["age"], records=["1"])["value"].tolist()
            ['40']
        """
        wanted = check_selection(**selection) | {"type": "eav"}
        self._names.check_selection(selection)
        frame: pd.DataFrame = read_values(self._transport, wanted).to_pandas(
            types_mapper=pd.ArrowDtype
        )
        return frame

    def import_(
        self,
        data: Importable,
        *,
        type: Shape = "flat",  # noqa: A002 (REDCap's own name)
        overwrite_behavior: str = "normal",
        force_auto_number: bool = False,
        date_format: str = "YMD",
        background_process: bool = False,
        batch_size: int = 1000,
        dry_run: bool = False,
        csv_delimiter: str = ",",
        return_content: str | None = None,
    ) -> RecordImport:
        """Import records; needs the right to API Import/Update, and to create new ones.

        Columns, events and dates are checked against the project before anything is imported.
        Codes are taken, no labels. Calculated fields are REDCap's own. An import is sent again
        where the network or the server fails, as it does the same twice; one that numbers records
        or instances anew is not.

        Args:
            data: A DataFrame, a list of dicts, or the text of a CSV.
            type: ``flat``, as the export gives it, or ``eav``: ``record``, ``field_name``,
                ``value``, and event and instance where the project has them; an option of a
                checkbox goes as ``race___1`` with 0 or 1.
            overwrite_behavior: ``overwrite`` lets blank values delete; ``normal`` ignores them.
            force_auto_number: Have REDCap give each record a new id.
            date_format: The order in dates that are given as text: ``YMD``, ``MDY`` or ``DMY``.
            background_process: Let the server take its time (REDCap 14); it then tells no ids.
            batch_size: Rows per request. A record is never cut apart.
            dry_run: Import nothing, and say what would change.
            csv_delimiter: Between the cells of a CSV: ``,``, ``tab``, ``;``, ``|`` or ``^``.
            return_content: What REDCap is to tell: ``ids``, which is the default; ``auto_ids``, the
                default of records that it numbers; only the ``count``; or ``nothing``. The rest of
                the result is then empty.

        Raises:
            TypeError: The data are of another type; nothing was sent.
            ValueError: A parameter, a column or event that the project has not, or a date that is
                none; nothing was imported.
            ImportRefusedError: REDCap refused values, and imported nothing of that request; a note
                of the error says whether requests before it were imported.
            OutcomeUnknownError: The answer to an import that numbers anew was lost.
            REDCapError: Of the type that says what is wrong.

        Example:
            >>> row = {"record_id": "2", "redcap_event_name": "first_arm_1", "age": 51}
            >>> [(one.column, one.before, one.after)
            ...  for one in redcap.records.import_([row], dry_run=True).changes]
            [('age', '50', '51')]
            >>> redcap.records.import_([row]).records
            ('2',)
        """
        parameters = call_parameters(
            "record",
            "import",
            type=check_one_of("type", type, ("flat", "eav")),
            overwriteBehavior=check_one_of("overwrite_behavior", overwrite_behavior, _OVERWRITES),
            forceAutoNumber=write_flag("force_auto_number", force_auto_number),
            dateFormat=check_one_of("date_format", date_format, _DATE_FORMATS),
            backgroundProcess=write_flag("background_process", background_process),
            returnContent=_return_content(return_content, force_auto_number),
        )
        check_positive("batch_size", batch_size)
        write_flag("dry_run", dry_run)
        delimiter = DELIMITERS[check_one_of("csv_delimiter", csv_delimiter, tuple(DELIMITERS))]
        check_columns(read_rows(data, delimiter=delimiter), ())  # before anything is asked
        target = ImportTarget.export(self._transport)
        rows = read_rows(data, target.validations, delimiter)
        target.check(rows, type, date_format)
        id_column = target.id_column(type)
        cut = list(batches(rows, id_column, batch_size))
        if dry_run:
            overwrite = overwrite_behavior == "overwrite"
            changes: list[CellChange] = []
            for batch in cut:
                # What is numbered anew is nowhere yet.
                current = _NOTHING if force_auto_number else self._current(target, batch, type)
                changes += compare(target, batch, type, current, overwrite, date_format)
            ids = _ids(rows, id_column)
            return RecordImport(ids, changes=tuple(changes), count=len(ids))
        return self._import(cut, parameters)

    def _import(self, cut: Sequence[Sequence[Row]], parameters: dict[str, str]) -> RecordImport:
        def receive(response: Response) -> RecordImport:
            if "backgroundProcess" in parameters:
                return read_accepted(response)
            return read_import(response, parameters["returnContent"])

        parts: list[RecordImport] = []
        for number, batch in enumerate(cut):
            anew = "forceAutoNumber" in parameters or any(
                row.get(REPEAT_INSTANCE) == "new" for row in batch
            )
            send = self._transport.post_once if anew else self._transport.post
            try:
                parts.append(send(REQUEST, parameters | {"data": json.dumps(batch)}, receive))
            except REDCapError as error:
                if done := sum(map(len, cut[:number])):
                    error.add_note(f"{done} rows of requests before this one were imported.")
                raise
        return RecordImport.of(parts)

    def _current(self, target: ImportTarget, rows: Sequence[Row], shape: Shape) -> pa.Table:
        """Export what is there of what would be imported."""
        columns = {column for _, column, _ in target.cells(rows, shape)}
        fields = {target.originals[name] for name in columns if name in target.originals}
        wanted = check_selection(
            records=_ids(rows, target.id_column(shape)),
            fields=sorted(fields | {target.record_id_field}),
            export_data_access_groups=ACCESS_GROUP in columns,
            export_survey_fields=SURVEY_IDENTIFIER in columns,
        )
        return read_records(self._transport, wanted, target.record_id_field)

    # -- one by one -------------------------------------------------------------------------------

    def delete(
        self,
        records: Sequence[str | int],
        *,
        arm: int | None = None,
        instrument: str | None = None,
        event: str | None = None,
        repeat_instance: int | None = None,
        delete_logging: bool = False,
    ) -> int:
        """Delete records, or a form, event or instance of them, once; needs the right to it.

        Args:
            records: Their ids.
            arm: Only in this arm.
            instrument: Only this form; in a longitudinal project with its event.
            event: Only this event.
            repeat_instance: Only this instance.
            delete_logging: Delete what the log says of them too.

        Returns:
            How many REDCap deleted.

        Raises:
            ValueError: The project has no such form or event; nothing was deleted.
            RefusedError: One of the records is not there; none was deleted.
            OutcomeUnknownError: The answer was lost.
            REDCapError: It was not done; the type says why.

        Example:
            >>> redcap.records.delete(["1", "2"])
            2
        """
        wanted = call_parameters(
            "record",
            "delete",
            arm=check_positive("arm", arm),
            instrument=instrument,
            event=event,
            repeat_instance=check_positive("repeat_instance", repeat_instance),
            delete_logging=1 if write_flag("delete_logging", delete_logging) else 0,
        )
        wanted |= write_list("records", records)
        self._names.check_place(form=instrument, event=event)
        return self._transport.post_once("record deletion", wanted, read_count)

    def rename(self, record: str | int, new_record_name: str | int, arm: int | None = None) -> None:
        """Give a record another id (REDCap 11.3.3), once; needs the right to it.

        Args:
            record: Its id.
            new_record_name: Its new id, which no record may have.
            arm: Only in this arm.

        Raises:
            OutcomeUnknownError: The answer was lost.
            REDCapError: It was not done; the type says why.

        Example:
            >>> redcap.records.rename("2", "7")
            >>> redcap.export_records(fields=["record_id"])["record_id"].unique().tolist()
            ['1', '7']
        """
        wanted = call_parameters(
            "record",
            "rename",
            record=check_required("record", record),
            new_record_name=check_required("new_record_name", new_record_name),
            arm=check_positive("arm", arm),
        )
        self._transport.post_once("record renaming", wanted, read_count)

    def randomize(
        self, record: str | int, randomization_id: int, *, return_alt: bool = False
    ) -> dict[str, str]:
        """Randomize a record (REDCap 14.7 or 15: sources differ), once; needs the right to it.

        Args:
            record: Its id.
            randomization_id: Which of the project's randomizations.
            return_alt: Give the alternative value too, such as a randomization number.

        Returns:
            ``randomization_id``, ``record``, ``target_field`` and ``target_field_alt``; ``*`` for
            what the user may not see.

        Raises:
            OutcomeUnknownError: The answer was lost.
            REDCapError: It was not done; the type says why.

        Example:
            >>> redcap.records.randomize("1", randomization)["target_field"]
            '2'
        """
        wanted = call_parameters(
            "record",
            "randomize",
            record=check_required("record", record),
            randomization_id=check_positive("randomization_id", randomization_id),
            returnAlt=write_flag("return_alt", return_alt),
        )
        return self._transport.post_once("randomization", wanted, _read_randomization)

    def generate_next_record_name(self) -> str:
        """Give the id that the next record would get; it reserves none (REDCap 6.18).

        Needs the right to API Export.

        Example:
            >>> redcap.records.generate_next_record_name()
            '3'
        """
        return export_line(
            self._transport, "next record name", call_parameters("generateNextRecordName")
        )


def _ids(rows: Sequence[Row], id_column: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row[id_column] for row in rows))


def _return_content(asked: str | None, numbers_anew: bool) -> str:
    if asked is None:
        return "auto_ids" if numbers_anew else "ids"
    if asked == "auto_ids" and not numbers_anew:
        raise ValueError("return_content: auto_ids goes with force_auto_number alone.")
    return check_one_of("return_content", asked, _RETURNED)


def _read_randomization(response: Response) -> dict[str, str]:
    content = read_json(response)
    if isinstance(content, list) and len(content) == 1:  # guess: either may come
        (content,) = content
    if not isinstance(content, dict) or "target_field" not in content:
        raise malformed_error(response, "it does not say what the record was randomized to")
    return {str(name): str(value) for name, value in content.items()}
