"""The calls that most contents of the API have in common: export rows, import them, delete some.

What changes something is sent once and never again: see `Transport.post_once`.
"""

import json
from collections.abc import Sequence
from typing import Any

from redcap_dagster.api.calls.import_data import Importable, write_import_data
from redcap_dagster.api.calls.parameters import call_parameters, write_list
from redcap_dagster.api.errors import NotApplicableError
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

# -- calls ----------------------------------------------------------------------------------------


def export_rows(
    transport: Transport,
    request: str,
    parameters: dict[str, str],
    key: str,
    should_retry: ShouldRetry = is_temporary,
) -> list[dict[str, Any]]:
    """Export a list of objects, each of which has the key."""

    def receive(response: Response) -> list[dict[str, Any]]:
        rows = read_json(response)
        if not isinstance(rows, list):
            raise malformed_error(response, "it is no JSON list")
        if not all(isinstance(row, dict) and key in row for row in rows):
            raise malformed_error(response, f"it has rows without {key}")
        return rows

    return transport.post(request, parameters, receive, should_retry)


def export_if_applicable(
    transport: Transport, content: str, key: str, **parameters: str
) -> list[dict[str, Any]]:
    """Export what only some projects have: nothing where REDCap says that this one has not."""
    try:
        return export_rows(
            transport, f"{content} export", call_parameters(content) | parameters, key
        )
    except NotApplicableError:
        return []


def export_info(transport: Transport) -> dict[str, Any]:
    """Export project info."""

    def receive(response: Response) -> dict[str, Any]:
        info = read_json(response)
        if not isinstance(info, dict) or not info:
            raise malformed_error(response, "it is no JSON object")
        return info

    return transport.post("project export", call_parameters("project"), receive)


EVENTS, REPEATS = "is_longitudinal", "has_repeating_instruments_or_events"


def is_flag_set(info: dict[str, Any], flag: str) -> bool:
    """Read a flag of project info.

    Servers of 2017 do not say whether anything repeats; they refuse where nothing does.
    """
    return str(info.get(flag, 1 if flag == REPEATS else 0)) == "1"


def export_line(transport: Transport, request: str, parameters: dict[str, str]) -> str:
    """Export a single line of plain text, such as a link."""
    return transport.post(request, parameters, read_line)


def import_rows(
    transport: Transport,
    request: str,
    parameters: dict[str, str],
    data: Importable,
    must_have: Sequence[str],
) -> int:
    """Import rows, once, and give how many REDCap took.

    Raises:
        TypeError: The data are of another type; nothing was sent.
        ValueError: They have no row, or lack a column; nothing was sent.
    """
    format_, text = write_import_data(data, must_have)
    wanted = parameters | {"format": format_, "data": text}
    return transport.post_once(request, wanted, read_count)


def delete_listed(
    transport: Transport, content: str, name: str, values: Sequence[str | int]
) -> int:
    """Delete what is listed, once, and give how many there were."""
    parameters = call_parameters(content, "delete") | write_list(name, values)
    return transport.post_once(f"{content} deletion", parameters, read_count)


# -- answers --------------------------------------------------------------------------------------


def read_count(response: Response) -> int:
    """Read how many: a bare number, or an object that has nothing else."""
    content = read_json(response)
    if isinstance(content, dict) and len(content) == 1:
        (content,) = content.values()
    if isinstance(content, bool) or not str(content).isdecimal():
        raise malformed_error(response, "it is no number")
    return int(content)


def read_line(response: Response) -> str:
    """Read one line of plain text; some servers write it as JSON (a guess)."""
    text = read_text(response).strip()
    if text.startswith('"') and text.endswith('"'):
        try:
            text = str(json.loads(text))
        except ValueError:
            text = "\n"
    if "\n" in text or text[:1] in ("{", "["):
        raise malformed_error(response, "it is no single line of text")
    return text


def read_done(response: Response) -> None:
    """Make sure that an answer is none but success, whose body is blank."""
    body = read_body(response)
    if body.strip():
        check_data(response, body)
