"""REDCapClient: the exports that everyone uses."""

from collections.abc import Iterator, Sequence
from inspect import Parameter, Signature, signature
from typing import Any, Unpack

import pandas as pd
import pyarrow as pa

from redcap_dagster.api.calls.parameters import check_one_of, check_positive
from redcap_dagster.api.calls.project_structure import (
    ProjectStructure,
)
from redcap_dagster.api.export.download.fetcher import ExportSettings
from redcap_dagster.api.export.download.progress import Report
from redcap_dagster.api.export.plan.query import FILTERS, Among
from redcap_dagster.api.export.plan.record_requests import Limits
from redcap_dagster.api.export.reader.header_labels import label_columns
from redcap_dagster.api.export.reader.records import iterate_records, read_records
from redcap_dagster.api.export.reader.selection import (
    RAW_OR_LABEL,
    RecordSelection,
    add_record_id,
    check_selection,
)
from redcap_dagster.api.export.snapshot import RecordExport, export_table, take_snapshot
from redcap_dagster.api.export.verification.census import check_complete, read_census
from redcap_dagster.api.http.transport import Transport
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
from redcap_dagster.options import misspelt


class REDCapClient(StructureExports):
    """A client of one REDCap project.

    It shows its token nowhere and cannot be pickled. Exports need the right to API Export.

    Args:
        url: The address of the API, such as ``https://redcap.example.edu/api/``.
        token: The project's API token.
        settings: Any of `ClientSettings`, by name: ``rate_limit=100``.

    Attributes:
        records: Import, delete, rename, randomize; single values.
        files: Files of fields.
        repository: The file repository.
        reports: Reports.
        surveys: Links, codes, participants.
        pdfs: Instruments as PDF.
        users: Users and their rights.
        roles: User roles.
        groups: Data access groups.
        log: The log.
        design: Changes of dictionary, arms, events and forms.
        projects: Settings, XML, new projects.

    Raises:
        ValueError: The URL, the token or a setting cannot be right.
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
        )
        check_positive("max_cells", chosen.max_cells)
        check_positive("max_records", chosen.max_records)
        if check_positive("concurrency", chosen.concurrency) is None:
            raise ValueError("concurrency: must be a whole number from 1 on.")
        self._settings = ExportSettings(
            Limits(chosen.max_cells, chosen.max_records), chosen.concurrency
        )
        self._names = ProjectNames(self._transport)
        self.records = Records(self._transport, self._names)
        self.files = Files(self._transport, self._names)
        self.repository = FileRepository(self._transport)
        self.reports = Reports(self._transport)
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
        """The address of the API, ending in a slash."""
        return self._transport.url

    @property
    def digest_key(self) -> bytes:
        """A key for hashes of this project's data: without the token, nobody can have it."""
        return self._transport.digest_key

    # -- records ----------------------------------------------------------------------------------

    def export_records(
        self, *, raw_or_label_headers: str = "raw", **selection: Unpack[RecordSelection]
    ) -> pd.DataFrame:
        """Export records as text: what REDCap sent, with blank cells as nulls.

        Args:
            raw_or_label_headers: ``raw`` for names as columns; ``label`` for labels, which take a
                second request; labels that come twice carry the name too.
            **selection: See `RecordSelection`: which records, what of them, and how.

        Returns:
            One row per record, event and instance, in REDCap's order, backed by Arrow. Where no
            row comes, newer servers name no columns; then there is the record id alone.

        Raises:
            TypeError: A parameter of another type; nothing was sent.
            ValueError: REDCap cannot take it, or the project has no such field, form or event.
            MalformedResponseError: Rows have no record id, or come twice.
            REDCapError: Of the type that says what is wrong.

        Example:
            >>> redcap.export_records(fields=["age"])["age"].tolist()
            ['40', '50']
            >>> redcap.export_records(fields=["age"], raw_or_label_headers="label").columns[-1]
            'Age'
            >>> sum(batch.num_rows for batch in redcap.stream_records(fields=["age"]))
            2
        """
        labeled = (
            check_one_of("raw_or_label_headers", raw_or_label_headers, RAW_OR_LABEL) == "label"
        )
        table = self.export_records_table(**selection)
        if labeled:
            table = label_columns(self._transport, *self._asked(selection), table)
        frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def export_records_table(self, **selection: Unpack[RecordSelection]) -> pa.Table:
        """Export records like `export_records`, as an Arrow table."""
        parameters, record_id_field = self._asked(selection)
        if self._settings.limits.max_cells is None and not any(
            selection.get(name) for name in FILTERS
        ):
            return read_records(self._transport, parameters, record_id_field)
        return export_table(
            self._transport,
            self._names.dictionary,
            self.export_structure,
            selection,
            self._settings,
        )

    def export_snapshot(
        self,
        structure: ProjectStructure | None = None,
        *,
        among: Among | None = None,
        report: Report | None = None,
        **selection: Unpack[RecordSelection],
    ) -> RecordExport:
        """Export records as of one moment, each of the census among them; see `RecordExport`.

        Args:
            structure: What `export_structure` gave, if it was asked for anyway.
            among: Gives the rows of a listing of all records, by the record id, that are wanted:
                for a part of a project that has too many records to name. All by default.
            report: Is told of the progress of an export that takes several requests; by default a
                bar is shown in a terminal or a notebook.
            **selection: As for `export_records`. Of just some ``records``, each that the census
                lists must come; that there are others is no fault. Access groups are left out
                where the token's user may not see them.

        Raises:
            TypeError: A parameter of another type; nothing was sent.
            ValueError: REDCap cannot take it, or the project has no such field, form or event.
            IncompleteExportError: Records are missing; it says how many.

        Example:
            >>> export = redcap.export_snapshot(forms=["visit"])
            >>> export.table.num_rows, export.consistent
            (2, True)
        """
        check_selection(**selection)  # before anything is sent
        structure = structure or self.export_structure()
        self._names.learn(structure.metadata)
        self._names.check_selection(selection)
        return take_snapshot(self._transport, structure, selection, self._settings, among, report)

    def stream_records(self, **selection: Unpack[RecordSelection]) -> Iterator[pa.RecordBatch]:
        """Export records like `export_records`, as Arrow batches that are read as they come.

        There is at least one. Where the answer breaks off, or a row has no key of its own, this
        raises: what came is incomplete.
        """
        return iterate_records(self._transport, *self._asked(selection))

    def stop(self) -> None:
        """End for good, from another thread, what is asked for: it raises at once.

        Example:
            >>> other = REDCapClient(redcap.url, "0" * 32)
            >>> other.stop()
        """
        self._transport.stop()

    def export_census(self) -> pa.Table:
        """Export what there is: one row per record and event that REDCap lists, as text.

        Its columns are the record id and, where the project has them, event, access group and
        survey identifier.
        """
        return read_census(self._transport, self._names.record_id_field)

    def check_complete(
        self, export: pa.Table, census: pa.Table, events: Sequence[str] | None = None
    ) -> None:
        """Make sure that an export has every record of the census taken before it.

        REDCap has been seen to leave records out of large answers without a word. A record that
        was deleted meanwhile is none of these: the census is taken again where one is missing.

        Args:
            export: All records, of any forms, as `export_records_table` gives them.
            census: What `export_census` gave before.
            events: Those of the forms that were exported; all by default.

        Raises:
            IncompleteExportError: Records are missing; it says how many.

        Example:
            >>> census = redcap.export_census()
            >>> redcap.check_complete(redcap.export_records_table(), census)
        """
        check_complete(self._transport, export, census, events, self._names.record_id_field)

    # -- inside -----------------------------------------------------------------------------------

    def _asked(self, selection: RecordSelection) -> tuple[dict[str, str], str]:
        """Give the parameters of a record export, and the record id field, which is among them."""
        parameters = check_selection(**selection)
        record_id_field = self._names.record_id_field
        self._names.check_selection(selection)
        return add_record_id(parameters, record_id_field), record_id_field
