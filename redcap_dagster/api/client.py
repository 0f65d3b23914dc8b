"""The client of one REDCap project: its settings, and its methods by noun."""

from datetime import datetime
from inspect import Parameter, Signature, signature
from typing import Any

from redcap_dagster.api.export.download.fetcher import ExportSettings
from redcap_dagster.api.export.plan.adaptive_limits import ExportBudget
from redcap_dagster.api.export.plan.record_requests import Limits
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
from redcap_dagster.api.methods.record_exports import RecordExports
from redcap_dagster.api.methods.records import Records
from redcap_dagster.api.methods.reports import Reports
from redcap_dagster.api.methods.surveys import Surveys
from redcap_dagster.api.methods.user_roles import UserRoles
from redcap_dagster.api.methods.users import Users
from redcap_dagster.api.settings import ClientSettings
from redcap_dagster.api.snippets import TOKEN_VARIABLE, Language
from redcap_dagster.options import misspelt


class REDCapClient(RecordExports):
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
        TypeError: A setting is misspelled.

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
            TypeError: The call or an argument is misspelled, missing, or has another type.
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
