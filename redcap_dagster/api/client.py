"""The client of one REDCap project: its record exports, and its other methods by noun."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from inspect import Parameter, Signature, signature
from itertools import chain
from typing import Any, Unpack

import pandas as pd
import pyarrow as pa

from redcap_dagster.api.calls.parameters import check_one_of, check_required
from redcap_dagster.api.calls.project_structure import (
    ProjectStructure,
)
from redcap_dagster.api.export.download.fetcher import ExportSettings
from redcap_dagster.api.export.download.progress import Report
from redcap_dagster.api.export.plan.adaptive_limits import ExportBudget
from redcap_dagster.api.export.plan.query import DATES, Among
from redcap_dagster.api.export.plan.record_requests import Limits
from redcap_dagster.api.export.reader.header_labels import label_columns
from redcap_dagster.api.export.reader.selection import (
    RAW_OR_LABEL,
    RecordSelection,
    add_record_id,
    check_selection,
)
from redcap_dagster.api.export.single_request import export_at_once, stream_at_once
from redcap_dagster.api.export.snapshot import RecordExport, export_table, take_snapshot
from redcap_dagster.api.export.verification.census import check_complete, read_census
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.call_snippets import write_call_snippet
from redcap_dagster.api.methods.data_access_groups import AccessGroups
from redcap_dagster.api.methods.design import Design
from redcap_dagster.api.methods.file_repository import FileRepository
from redcap_dagster.api.methods.files import Files
from redcap_dagster.api.methods.log import Log
from redcap_dagster.api.methods.pdfs import PDFs
from redcap_dagster.api.methods.project_names import ProjectNames
from redcap_dagster.api.methods.projects import Projects
from redcap_dagster.api.methods.records import Records
from redcap_dagster.api.methods.reports import Reports
from redcap_dagster.api.methods.structure import StructureExports
from redcap_dagster.api.methods.surveys import Surveys
from redcap_dagster.api.methods.user_roles import UserRoles
from redcap_dagster.api.methods.users import Users
from redcap_dagster.api.settings import ClientSettings
from redcap_dagster.api.snippets import TOKEN_VARIABLE, Language
from redcap_dagster.frames import to_frame
from redcap_dagster.options import misspelt


class REDCapClient(StructureExports):
    """A client of one REDCap project.

    It never shows its token and cannot be pickled. Exports need the right to API Export. In the
    examples, `redcap` is a client.

    Args:
        url: The URL of the API, such as ``https://redcap.example.edu/api/``.
        token: The project's API token.
        settings: Settings of `ClientSettings` by name, such as ``rate_limit=100``.

    Attributes:
        records: Record imports, deletions, renaming, randomization, single values.
        files: Files of file fields.
        repository: The file repository.
        reports: Reports.
        surveys: Survey links, codes and participants.
        pdfs: Instruments as PDF files.
        users: Users and their rights.
        roles: User roles.
        groups: Data access groups.
        log: The log.
        design: Changes of dictionary, arms, events and instruments.
        projects: Settings, XML and new projects.

    Raises:
        ValueError: The URL, the token or a setting is invalid.
        TypeError: A setting is misspelt.

    Example:
        >>> REDCapClient("https://redcap.example.edu/api", "0123456789ABCDEF0123456789ABCDEF")
        REDCapClient(url='https://redcap.example.edu/api/', token='****')
    """

    # What help() and notebooks show.
    __signature__ = Signature(
        [
            *(Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("url", "token")),
            *signature(ClientSettings).parameters.values(),
        ]
    )

    def __init__(self, url: str, token: str, **settings: Any) -> None:
        if unknown := misspelt(settings, ClientSettings.model_fields.keys(), "REDCapClient"):
            raise TypeError(unknown)
        chosen = ClientSettings(**settings)
        self._transport = Transport(
            url,
            token,
            ca_bundle=chosen.ca_bundle,
            verify_tls=chosen.verify_tls,
            connect_timeout=chosen.connect_timeout,
            read_timeout=chosen.read_timeout,
            total_timeout=chosen.total_timeout,
            retries=chosen.retries,
            backoff=chosen.backoff,
            rate_limit=chosen.rate_limit,
            max_parameters=chosen.max_parameters,
            max_file_bytes=chosen.max_file_bytes,
        )
        self._settings = ExportSettings(
            Limits(chosen.max_cells, chosen.max_records, chosen.max_parameters),
            chosen.concurrency,
            ExportBudget(chosen.max_failures, chosen.progress_timeout),
        )
        self._names = ProjectNames(self._transport)
        self._frames = chosen.frames
        self.records = Records(self._transport, self._names, self._frames)
        self.files = Files(self._transport, self._names)
        self.repository = FileRepository(self._transport)
        self.reports = Reports(self._transport, self._frames)
        self.surveys = Surveys(self._transport, self._names)
        self.pdfs = PDFs(self._transport, self._names)
        self.users = Users(self._transport)
        self.roles = UserRoles(self._transport)
        self.groups = AccessGroups(self._transport)
        self.log = Log(self._transport)
        self.design = Design(self._transport)
        self.projects = Projects(self._transport)

    def __repr__(self) -> str:
        return f"REDCapClient(url={self.url!r}, token='****')"

    @property
    def url(self) -> str:
        """The URL of the API, ending in a slash."""
        return self._transport.url

    @property
    def server_time(self) -> datetime | None:
        """When the last response was sent, by the server's clock; None if that is unknown."""
        return self._transport.server_time

    @property
    def digest_key(self) -> bytes:
        """A key for hashes of this project's data. It can be derived only from the token."""
        return self._transport.digest_key

    # -- records ----------------------------------------------------------------------------------

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
            TypeError: A parameter is misspelt or has another type. Nothing was sent.
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
        table = self.export_records_table(records_where=records_where, **selection)
        if labeled:
            table = label_columns(self._transport, *self._write_parameters(selection), table)
        return to_frame(table, self._frames)

    def export_records_table(
        self, *, records_where: str | None = None, **selection: Unpack[RecordSelection]
    ) -> pa.Table:
        """Return records like `export_records`, as an Arrow table."""
        if records_where is not None:
            check_required("records_where", records_where)
        parameters, _ = self._write_parameters(selection)
        limits = self._settings.limits
        others = sum(not name.startswith("records[") for name in parameters)
        filtered = records_where or any(selection.get(name) for name in DATES)
        if limits.max_cells is None and not filtered and others < limits.max_names:
            return self._names.use_current(
                lambda: export_at_once(self._transport, parameters, self._names.project)
            )
        return self._names.use_current(
            lambda: export_table(
                self._transport,
                self._names.dictionary,
                self.export_structure,
                selection,
                self._settings,
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
            TypeError: A parameter is misspelt or has another type. Nothing was sent.
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

    def snippet(
        self,
        call: str,
        *,
        language: Language = "requests",
        token_variable: str = TOKEN_VARIABLE,
        **arguments: Any,
    ) -> str:
        """Return code that sends the request of a call, in another language. Nothing is sent.

        The token is read from an environment variable. Unlike the call, the code requests exactly
        the given ``fields``: give the record id field, too.

        Args:
            call: The call as it is written after the client, such as ``records.delete``.
            language: ``requests``, ``client`` (this package), ``yaml`` and ``definitions`` (assets
                that hold the same), ``httr`` and ``REDCapR`` (R), or ``curl``. Defaults to
                ``requests``.
            token_variable: Environment variable of the token. Defaults to ``REDCAP_API_TOKEN``.
            **arguments: The arguments of the call, by name. The code holds them as they are, record
                ids and data included. A file is a path, or a `REDCapFile`, of which only the name
                is written.

        Raises:
            TypeError: The call or an argument is misspelt, missing, or has another type.
            ValueError: REDCap cannot take an argument, or the language does not have the call.

        Example:
            >>> print(redcap.snippet("export_version", language="client"))
            ... # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
            import os
            <BLANKLINE>
            from redcap_dagster.api import REDCapClient
            <BLANKLINE>
            token = os.environ["REDCAP_API_TOKEN"]
            redcap = REDCapClient("http://.../api/", token)
            result = redcap.export_version()
            print(result)
        """
        return write_call_snippet(call, arguments, language, self.url, token_variable)

    def stop(self) -> None:
        """Stop the client for good, from another thread: its requests raise at once.

        Example:
            >>> other = REDCapClient(redcap.url, "0" * 32)
            >>> other.stop()
        """
        self._transport.stop()

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
