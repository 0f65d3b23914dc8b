"""Calls that many methods share: export rows, import rows, delete listed items.

Imports and deletions are never retried: see `Transport.post_once`.
"""

import json
from collections.abc import Sequence
from typing import Any

from redcap_dagster.api.calls.import_data import Importable, write_import_data
from redcap_dagster.api.calls.parameters import call_parameters, write_list
from redcap_dagster.api.errors import RefusedError
from redcap_dagster.api.http.response import (
    Response,
    check_data,
    malformed_error,
    read_body,
    read_json,
    read_text,
)
from redcap_dagster.api.http.retries import ShouldRetry, is_temporary
from redcap_dagster.api.http.transport import Transport

_BAD_REQUEST = 400
"""The status with which REDCap refuses what does not apply to a project."""

# -- calls ----------------------------------------------------------------------------------------


def export_rows(
    transport: Transport,
    request: str,
    parameters: dict[str, str],
    key: str,
    should_retry: ShouldRetry = is_temporary,
) -> list[dict[str, Any]]:
    """Return exported rows, each of which has the key."""

    def receive(response: Response) -> list[dict[str, Any]]:
        rows = read_json(response)
        if not isinstance(rows, list):
            raise malformed_error(response, "it is not a JSON list")
        if not all(isinstance(row, dict) and key in row for row in rows):
            raise malformed_error(response, f"it has rows without {key}")
        return rows

    return transport.post(request, parameters, receive, should_retry)


def export_content(
    transport: Transport, content: str, key: str, **parameters: str
) -> list[dict[str, Any]]:
    """Return the exported rows of a content that is named by itself, without an action.

    Args:
        transport: The connection.
        content: REDCap's name of what is requested.
        key: A column that every row has.
        **parameters: Other parameters by REDCap's names.

    Raises:
        REDCapError: The request failed. The type says why.
    """
    return export_rows(transport, f"{content} export", call_parameters(content) | parameters, key)


def export_if_applicable(
    transport: Transport, info: dict[str, Any], flag: str, content: str, key: str, **parameters: str
) -> list[dict[str, Any]]:
    """Return exported rows that only some projects have; none if project info excludes them.

    REDCap also refuses the export where the flag is missing in project info and the project does
    not have such rows, and where the project was changed after its info was exported.

    Args:
        transport: The connection.
        info: The project info.
        flag: The flag of project info that says whether the project has such rows.
        content: REDCap's name of what is requested.
        key: A column that every row has.
        **parameters: Other parameters by REDCap's names.

    Raises:
        REDCapError: The request failed. The type says why.
    """
    if not is_flag_set(info, flag):
        return []
    try:
        return export_content(transport, content, key, **parameters)
    except RefusedError as error:
        still_set = flag in info and is_flag_set(export_info(transport), flag)
        if error.status != _BAD_REQUEST or still_set:
            raise
    return []


def export_info(transport: Transport) -> dict[str, Any]:
    """Return the project info."""

    def receive(response: Response) -> dict[str, Any]:
        info = read_json(response)
        if not isinstance(info, dict) or not info:
            raise malformed_error(response, "it is not a JSON object")
        return info

    return transport.post("project export", call_parameters("project"), receive)


IS_LONGITUDINAL, HAS_REPEATING = "is_longitudinal", "has_repeating_instruments_or_events"


def is_flag_set(info: dict[str, Any], flag: str) -> bool:
    """Return whether a flag of project info is set.

    Servers of 2017 do not export whether anything repeats; they refuse the export of repeating
    instruments where nothing does.
    """
    return str(info.get(flag, 1 if flag == HAS_REPEATING else 0)) == "1"


def export_line(transport: Transport, request: str, parameters: dict[str, str]) -> str:
    """Return a single line of plain text, such as a link."""
    return transport.post(request, parameters, read_line)


def import_rows(
    transport: Transport,
    request: str,
    parameters: dict[str, str],
    data: Importable,
    must_have: Sequence[str],
) -> int:
    """Import rows once, and return how many REDCap accepted.

    Raises:
        TypeError: The data are of another type. Nothing was sent.
        ValueError: The data have no row, or lack a column. Nothing was sent.
        OutcomeUnknownError: The response was lost.
    """
    format_, text = write_import_data(data, must_have)
    parameters = parameters | {"format": format_, "data": text}
    return transport.post_once(request, parameters, read_count)


def delete_listed(
    transport: Transport, content: str, name: str, values: Sequence[str | int]
) -> int:
    """Delete listed items once, and return how many REDCap deleted."""
    parameters = call_parameters(content, "delete") | write_list(name, values)
    return transport.post_once(f"{content} deletion", parameters, read_count)


# -- responses ------------------------------------------------------------------------------------


def read_count(response: Response) -> int:
    """Return a count: the response is a bare number, or an object with nothing else."""
    content = read_json(response)
    if isinstance(content, dict) and len(content) == 1:
        (content,) = content.values()
    if isinstance(content, bool) or not str(content).isdecimal():
        raise malformed_error(response, "it is not a number")
    return int(content)


def read_line(response: Response) -> str:
    """Return one line of plain text; some servers write it as JSON (a guess)."""
    text = read_text(response).strip()
    if text.startswith('"') and text.endswith('"'):
        try:
            text = str(json.loads(text))
        except ValueError:
            text = "\n"
    if "\n" in text or text[:1] in ("{", "["):
        raise malformed_error(response, "it is not a single line of text")
    return text


def read_done(response: Response) -> None:
    """Raise the error of a response whose body is not blank, as that of a success is."""
    body = read_body(response)
    if body.strip():
        check_data(response, body)
