"""Projects: settings, XML and new projects."""

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
    decode_utf8,
    malformed_error,
    read_body,
)
from redcap_dagster.api.http.token import check_token
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project.name_lists import list_names

_XML_PARAMETERS = frozenset(
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
    """Settings and XML of a project, and new projects, which need a super token.

    Example:
        >>> xml = redcap.projects.export_xml(return_metadata_only=True)
        >>> copy = {"project_title": "Copy", "purpose": 0}
        >>> token = maker.projects.create(copy, xml)  # the client of a super token
        >>> len(token)
        32
    """

    _transport: Transport

    def export_xml(
        self,
        *,
        return_metadata_only: bool = False,
        export_files: bool = False,
        **selection: Unpack[RecordSelection],
    ) -> str:
        """Return the project as XML (CDISC ODM 1.3.1; REDCap 6.12).

        Args:
            return_metadata_only: Whether to export only the structure, without records. Defaults to
                False.
            export_files: Whether to include the files of file fields, which may be large. Defaults
                to False.
            **selection: ``records``, ``fields``, ``events``, ``filter_logic``,
                ``export_survey_fields`` and ``export_data_access_groups`` of `RecordSelection`.
                Defaults to all records.

        Raises:
            TypeError: This export does not have such a parameter. Nothing was sent.
            ValueError: REDCap cannot take a parameter. Nothing was sent.
            REDCapError: The request failed. The type says why.

        Example:
            >>> "<ODM" in redcap.projects.export_xml(return_metadata_only=True)
            True
        """
        unknown = selection.keys() - _XML_PARAMETERS
        if unknown:
            raise TypeError(
                f"An XML export has no parameter {list_names(sorted(unknown))}. Leave it out."
            )
        parameters = call_parameters(
            "project_xml",
            returnMetadataOnly=write_flag("return_metadata_only", return_metadata_only),
            exportFiles=write_flag("export_files", export_files),
        )
        parameters |= {"format": "xml"} | check_selection(**selection)
        return self._transport.post("project XML export", parameters, _read_odm)

    def import_settings(self, settings: Mapping[str, Any]) -> int:
        """Change settings, such as ``project_title``, and return how many.

        Needs the right to Project Design. The request is sent once.

        Args:
            settings: Settings by the names that `REDCapClient.export_project_info` returns.

        Raises:
            ValueError: There is no setting, or a value cannot be written as JSON. Nothing was sent.
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> redcap.projects.import_settings({"project_title": "Pilot"})
            1
        """
        parameters = call_parameters(
            "project_settings", "import", data=_write_json("settings", settings)
        )
        return self._transport.post_once("project settings import", parameters, read_count)

    def create(self, data: Mapping[str, Any], odm: str | None = None) -> str:
        """Create a project and return its token. Keep the token like a password.

        The client's token must be a super token. The request is sent once.

        Args:
            data: ``project_title`` and ``purpose``, and ``purpose_other`` if the purpose is 1.
            odm: Project XML with structure and records. Defaults to an empty project.

        Raises:
            ValueError: The title or purpose is missing. Nothing was sent.
            OutcomeUnknownError: The response was lost. REDCap may have created the project.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> token = maker.projects.create({"project_title": "New", "purpose": 0})
            >>> len(token)
            32
        """
        for name in ("project_title", "purpose"):
            check_required(name, data.get(name, ""))
        # A list, as in REDCap's own example; settings are a single object. Both are guesses.
        text = f"[{_write_json('data', data)}]"
        parameters = call_parameters("project", "import", data=text, odm=odm)
        return self._transport.post_once("project creation", parameters, _read_token)


def _write_json(name: str, values: Mapping[str, Any]) -> str:
    if not values:
        raise ValueError(f"{name}: is empty.")
    try:
        return json.dumps(dict(values), allow_nan=False)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{name}: a value cannot be written as JSON. Give texts and numbers.")


def _read_odm(response: Response) -> str:
    body = read_body(response)
    head = body[:2048].lstrip(b"\xef\xbb\xbf \r\n\t")
    if b"<ODM" not in head:
        check_data(response, body)
        raise malformed_error(response, "it is not project XML")
    if not body.rstrip().endswith(b"</ODM>"):
        raise malformed_error(response, "it breaks off")
    return decode_utf8(response, body)


def _read_token(response: Response) -> str:
    """Return the token; a demo server has been seen to print SQL before it."""
    try:
        return check_token(read_line(response)[-32:])
    except ValueError:
        pass
    raise malformed_error(response, "it does not end in a token")
