"""A project as a whole: its settings, its XML, and making a new one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Unpack

from redcap_dagster.api.calls.parameters import call_parameters, check_required, write_flag
from redcap_dagster.api.calls.rows import read_count, read_line
from redcap_dagster.api.export.reader.selection import RecordSelection, check_selection
from redcap_dagster.api.http.response import (
    Response,
    check_data,
    malformed_error,
    not_utf8_error,
    read_body,
)
from redcap_dagster.api.http.token import check_token
from redcap_dagster.api.http.transport import Transport

_XML_TAKES = frozenset(
    {
        "records",
        "fields",
        "events",
        "filter_logic",
        "export_survey_fields",
        "export_data_access_groups",
    }
)


@dataclass(frozen=True, slots=True)
class Projects:
    """The project of a token as a whole; with a super token, new projects.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     xml = client.projects.export_xml(return_metadata_only=True)
        ...     maker = REDCapClient(redcap.url, redcap.super_token)
        ...     copy = maker.projects.create({"project_title": "Copy", "purpose": 0}, xml)
        ...     REDCapClient(redcap.url, copy).export_project_info()["project_title"]
        'Copy'
    """

    _transport: Transport

    def export_xml(
        self,
        *,
        return_metadata_only: bool = False,
        export_files: bool = False,
        **selection: Unpack[RecordSelection],
    ) -> str:
        """Export the project as XML (CDISC ODM 1.3.1; REDCap 6.12), to keep it or to copy it.

        Args:
            return_metadata_only: Only the structure, without records.
            export_files: With the files of file fields, which may be large.
            **selection: Of `RecordSelection`: ``records``, ``fields``, ``events``,
                ``filter_logic``, ``export_survey_fields``, ``export_data_access_groups``.

        Raises:
            TypeError: A parameter that this export does not have; nothing was sent.
            ValueError: A parameter that REDCap cannot take; nothing was sent.
            REDCapError: Of the type that says what is wrong.

        Example:
            >>> "<ODM" in redcap.projects.export_xml(return_metadata_only=True)
            True
        """
        unknown = selection.keys() - _XML_TAKES
        if unknown:
            raise TypeError(f"An XML export has no parameter {', '.join(sorted(unknown))}.")
        wanted = call_parameters(
            "project_xml",
            returnMetadataOnly=write_flag("return_metadata_only", return_metadata_only),
            exportFiles=write_flag("export_files", export_files),
        )
        wanted |= {"format": "xml"} | check_selection(**selection)
        return self._transport.post("project XML export", wanted, _read_odm)

    def import_settings(self, settings: Mapping[str, Any]) -> int:
        """Change settings, such as ``project_title``, once; needs the right to Project Design.

        Args:
            settings: Some of what `REDCapClient.export_project_info` gives.

        Returns:
            How many settings REDCap took.

        Raises:
            ValueError: There are none, or a value is none that JSON has; nothing was sent.
            OutcomeUnknownError: The answer was lost.
            REDCapError: It was not done; the type says why.

        Example:
            >>> redcap.projects.import_settings({"project_title": "Pilot"})
            1
        """
        wanted = call_parameters("project_settings", "import", data=_written("settings", settings))
        return self._transport.post_once("project settings import", wanted, read_count)

    def create(self, data: Mapping[str, Any], odm: str | None = None) -> str:
        """Create a project, once; the client's token must be a super token.

        Args:
            data: With ``project_title`` and ``purpose``, and ``purpose_other`` where that is 1.
            odm: A project's XML, for its structure and records.

        Returns:
            The new project's token. Keep it like a password.

        Raises:
            ValueError: The title or purpose is missing; nothing was sent.
            OutcomeUnknownError: The answer was lost, and a project may be there.
            REDCapError: It was not done; the type says why.

        Example:
            >>> token = maker.projects.create({"project_title": "New", "purpose": 0})
            >>> len(token)
            32
        """
        for name in ("project_title", "purpose"):
            check_required(name, data.get(name, ""))
        # A list, as REDCap's own example has it; settings are a single object. Both are guesses.
        text = f"[{_written('data', data)}]"
        wanted = call_parameters("project", "import", data=text, odm=odm)
        return self._transport.post_once("project creation", wanted, _read_token)


def _written(name: str, values: Mapping[str, Any]) -> str:
    if not values:
        raise ValueError(f"{name}: there are none.")
    try:
        return json.dumps(dict(values), allow_nan=False)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{name}: a value is none that JSON has; give texts and numbers.")


def _read_odm(response: Response) -> str:
    body = read_body(response)
    head = body[:2048].lstrip(b"\xef\xbb\xbf \r\n\t")
    if b"<ODM" not in head:
        check_data(response, body)
        raise malformed_error(response, "it is no project XML")
    if not body.rstrip().endswith(b"</ODM>"):
        raise malformed_error(response, "it breaks off")
    position = 0
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = error.start
    raise not_utf8_error(response, f"byte {position} of the answer")


def _read_token(response: Response) -> str:
    """Read a token; the demo server was seen to print SQL before it."""
    try:
        return check_token(read_line(response)[-32:])
    except ValueError:
        pass
    raise malformed_error(response, "it does not end in a token")
