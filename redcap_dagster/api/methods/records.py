"""Records: import, delete, rename, randomize; and the export of single values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Unpack

import pandas as pd

from redcap_dagster.api.calls.import_data import Importable, read_rows
from redcap_dagster.api.calls.parameters import (
    call_parameters,
    check_one_of,
    check_positive,
    check_required,
    write_flag,
    write_list,
)
from redcap_dagster.api.calls.rows import export_line, read_count
from redcap_dagster.api.export.reader.selection import DELIMITERS, RecordSelection, check_selection
from redcap_dagster.api.export.reader.values import read_values
from redcap_dagster.api.http.response import Response, malformed_error, read_json
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames
from redcap_dagster.api.methods.record_import.batches import send_batches
from redcap_dagster.api.methods.record_import.choices import MEANINGS, Meaning
from redcap_dagster.api.methods.record_import.preparation import ImportRules, prepare_import
from redcap_dagster.api.methods.record_import.results import RecordImport
from redcap_dagster.api.methods.record_import.target import Shape
from redcap_dagster.frames import Frames, to_frame

_DATE_FORMATS: Final = ("YMD", "MDY", "DMY")
_OVERWRITE_BEHAVIORS: Final = ("normal", "overwrite")
_RETURN_CONTENTS: Final = ("count", "ids", "auto_ids", "nothing")


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a project: imports, deletions, renaming, randomization, single values.

    Record exports are methods of the client itself.

    Example:
        >>> redcap.records.import_([{"record_id": "7", "redcap_event_name": "first_arm_1"}]).records
        ('7',)
        >>> redcap.records.delete(["7"])
        1
    """

    _transport: Transport
    _names: ProjectNames
    _frames: Frames

    def export_eav(self, **selection: Unpack[RecordSelection]) -> pd.DataFrame:
        """Return one row per value that is not blank (``type=eav``), as text.

        Needs the right to API Export.

        Args:
            **selection: The records and fields to export; see `RecordSelection`. Defaults to all.

        Returns:
            Columns ``record``, event and instance where the project has them, ``field_name`` and
            ``value``. A checkbox has a row for each ticked box, with its code.

        Raises:
            TypeError: A parameter is misspelled or has another type. Nothing was sent.
            ValueError: REDCap cannot take a parameter, or the project does not have such a field,
                instrument or event.
            REDCapError: The request failed. The type says why.

        Example:
            >>> redcap.records.export_eav(fields=["age"], records=["1"])["value"].tolist()
            ['40']
        """
        parameters = check_selection(**selection) | {"type": "eav"}
        self._names.check_selection(selection)
        values = read_values(self._transport, parameters, self._names.project)
        return to_frame(values, self._frames)

    def import_(
        self,
        data: Importable,
        *,
        type: Shape = "flat",  # noqa: A002 (REDCap's own name)
        overwrite_behavior: str = "normal",
        force_auto_number: bool = False,
        date_format: str = "YMD",
        choices: Meaning | None = None,
        background_process: bool = False,
        batch_size: int = 1000,
        dry_run: bool = False,
        csv_delimiter: str = ",",
        return_content: str | None = None,
    ) -> RecordImport:
        """Import records and return what REDCap imported.

        Needs the rights to API Export and API Import/Update, and the right to create new records.
        Columns, events and dates are checked against the project before anything is imported.

        A value is written by the validation of its field, not by its type: 22.0 as ``22.0`` with
        one decimal. Texts are sent as they are. A value that is stored already is not sent: ``07``
        stays ``07`` where 7 is imported, and an unchanged clean table changes nothing. Calculated
        fields, survey timestamps and survey identifiers are ignored.

        A status ``0`` is sent only with another value of its instrument that changes. REDCap
        exports 0 for an instrument that was never saved too; sending it alone would save each such
        instrument as incomplete when an export is imported again. To save one so, import 2 first,
        then 0.

        Choices are imported by their codes or labels. Where labels of a field are codes of its
        other choices, other values of the column, other columns and the stored values show which
        they are; values that may still be either are refused, unless `choices` says it.

        Clean tables can be imported with the columns ``FIELD_code`` and ``FIELD_missing`` of their
        rules. The reasons in ``FIELD_missing`` are ignored.

        Record ids that are numbers are refused where REDCap has an id of the same value that is
        another text: 7 may be ``007``. So are ids that REDCap's database does not tell apart.

        A failed request is retried, except one with which REDCap numbers records or instances.

        Args:
            data: The rows: a DataFrame, an Arrow table or one that Arrow can read, a list of dicts,
                or the text of a CSV. A checkbox has a column for each option, like ``race___1``, or
                one column with lists of the ticked options.
            type: ``flat`` for rows like those of an export, or ``eav`` for rows with ``record``,
                ``field_name`` and ``value``, and event and instance where the project has them; a
                choice of a checkbox is then named like ``race___1``, with value 0 or 1. Defaults to
                ``flat``.
            overwrite_behavior: ``overwrite`` if blank values delete stored ones, also those that
                are null in a clean table as they are invalid or missing markers; or ``normal`` if
                blank values are ignored. Defaults to ``normal``.
            force_auto_number: Whether REDCap gives each record a new id. Defaults to False.
            date_format: The order in dates that are given as text: ``YMD``, ``MDY`` or ``DMY``.
                Defaults to ``YMD``.
            choices: What values of choices are that may be codes or labels: ``codes`` or
                ``labels``. Defaults to None: they are refused where the data do not show it.
            background_process: Whether the server imports in the background (REDCap 14), and
                returns no ids. Defaults to False.
            batch_size: Rows per request. A record is never split. Defaults to 1,000.
            dry_run: Whether to return the changes instead of importing them. Defaults to False.
            csv_delimiter: Delimiter of a CSV: ``,``, ``tab``, ``;``, ``|`` or ``^``. Defaults to
                ``,``.
            return_content: What REDCap returns: ``ids``, ``auto_ids``, ``count`` or ``nothing``;
                the rest of the result is empty. Defaults to ``auto_ids`` with `force_auto_number`,
                otherwise to ``ids``.

        Raises:
            TypeError: The data have another type. Nothing was sent.
            ValueError: A parameter is invalid, the project does not have a column or an event, a
                text is not a date, a field cannot store a value as it is, such as 22.25 with one
                decimal, or a value may be a code or a label. Nothing was imported.
            ImportRefusedError: REDCap refused values and imported nothing of that request. A note
                of the error says whether earlier requests were imported.
            OutcomeUnknownError: The response was lost, and REDCap may have numbered new records.
            REDCapError: A request failed. The type says why.

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
            overwriteBehavior=check_one_of(
                "overwrite_behavior", overwrite_behavior, _OVERWRITE_BEHAVIORS
            ),
            forceAutoNumber=write_flag("force_auto_number", force_auto_number),
            dateFormat="YMD",  # dates are sent as they are exported
            backgroundProcess=write_flag("background_process", background_process),
            returnContent=_check_return_content(return_content, force_auto_number),
        )
        check_one_of("date_format", date_format, _DATE_FORMATS)
        if choices is not None:
            check_one_of("choices", choices, MEANINGS)
        check_positive("batch_size", batch_size)
        write_flag("dry_run", dry_run)
        delimiter = DELIMITERS[check_one_of("csv_delimiter", csv_delimiter, tuple(DELIMITERS))]
        rules = ImportRules(
            shape=type,
            overwrite=overwrite_behavior == "overwrite",
            are_stored=not force_auto_number,  # records that REDCap numbers are not stored yet
            date_format=date_format,
            choices=choices,
            batch_size=batch_size,
        )
        prepared = prepare_import(
            self._transport, read_rows(data, delimiter), rules, must_compare=dry_run
        )
        if dry_run:
            return RecordImport(prepared.ids, changes=prepared.changes, count=len(prepared.ids))
        return send_batches(
            self._transport,
            prepared.batches,
            parameters,
            prepared.target.names,
            prepared.unchanged,
        )

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
        """Delete records, or an instrument, event or instance of them, and return how many.

        Needs the right to delete records. The request is sent once.

        Args:
            records: The record ids.
            arm: Arm to delete. Defaults to all arms.
            instrument: Instrument to delete; in a longitudinal project with its event. Defaults to
                all instruments.
            event: Event to delete. Defaults to all events.
            repeat_instance: Instance to delete. Defaults to all instances.
            delete_logging: Whether the log entries of the records are deleted too. Defaults to
                False.

        Raises:
            ValueError: The project does not have such an instrument or event. Nothing was deleted.
            RefusedError: One of the records does not exist. No record was deleted.
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap deleted nothing. The type says why.

        Example:
            >>> redcap.records.delete(["1", "2"])
            2
        """
        parameters = call_parameters(
            "record",
            "delete",
            arm=check_positive("arm", arm),
            instrument=instrument,
            event=event,
            repeat_instance=check_positive("repeat_instance", repeat_instance),
            delete_logging=1 if write_flag("delete_logging", delete_logging) else 0,
        )
        parameters |= write_list("records", records)
        self._names.check_place(form=instrument, event=event)
        return self._transport.post_once("record deletion", parameters, read_count)

    def rename(self, record: str | int, new_record_name: str | int, arm: int | None = None) -> None:
        """Give a record another id (REDCap 11.3.3).

        Needs the right to rename records. The request is sent once.

        Args:
            record: The record id.
            new_record_name: The new record id, which must not exist yet.
            arm: Arm in which to rename. Defaults to all arms.

        Raises:
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not rename the record. The type says why.

        Example:
            >>> redcap.records.rename("2", "7")
            >>> redcap.export_records(fields=["record_id"])["record_id"].unique().tolist()
            ['1', '7']
        """
        parameters = call_parameters(
            "record",
            "rename",
            record=check_required("record", record),
            new_record_name=check_required("new_record_name", new_record_name),
            arm=check_positive("arm", arm),
        )
        self._transport.post_once("record renaming", parameters, read_count)

    def randomize(
        self, record: str | int, randomization_id: int, *, return_alt: bool = False
    ) -> dict[str, str]:
        """Randomize a record and return its allocation (REDCap 14.7 or 15: sources differ).

        Needs the right to randomize. The request is sent once.

        Args:
            record: The record id.
            randomization_id: The randomization of the project.
            return_alt: Whether to return the alternative value too, such as a randomization number.
                Defaults to False.

        Returns:
            ``randomization_id``, ``record``, ``target_field`` and ``target_field_alt``. Values that
            the user may not see are ``*``.

        Raises:
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not randomize the record. The type says why.

        Example:
            >>> redcap.records.randomize("1", randomization)["target_field"]
            '2'
        """
        parameters = call_parameters(
            "record",
            "randomize",
            record=check_required("record", record),
            randomization_id=check_positive("randomization_id", randomization_id),
            returnAlt=write_flag("return_alt", return_alt),
        )
        return self._transport.post_once("randomization", parameters, _read_randomization)

    def generate_next_record_name(self) -> str:
        """Return the id that the next record would get, without reserving it (REDCap 6.18).

        Needs the right to API Export.

        Raises:
            REDCapError: The request failed. The type says why.

        Example:
            >>> redcap.records.generate_next_record_name()
            '3'
        """
        parameters = call_parameters("generateNextRecordName")
        return export_line(self._transport, "next record name", parameters)


def _check_return_content(return_content: str | None, numbers_anew: bool) -> str:
    if return_content is None:
        return "auto_ids" if numbers_anew else "ids"
    if return_content == "auto_ids" and not numbers_anew:
        raise ValueError("return_content: auto_ids goes with force_auto_number only.")
    return check_one_of("return_content", return_content, _RETURN_CONTENTS)


def _read_randomization(response: Response) -> dict[str, str]:
    content = read_json(response)
    if isinstance(content, list) and len(content) == 1:  # guess: either may be sent
        (content,) = content
    if not isinstance(content, dict) or "target_field" not in content:
        raise malformed_error(response, "it does not have the allocation of the record")
    return {str(name): str(value) for name, value in content.items()}
