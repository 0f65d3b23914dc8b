"""The calls that most contents of the API have in common: export rows, import them, delete some.

What changes something is sent once and never again: see `Transport.post_once`.
"""

import json
from collections.abc import Sequence
from typing import Any

from redcap_dagster.api.calls.import_data import Importable, written
from redcap_dagster.api.calls.parameters import array, asking
from redcap_dagster.api.errors import NotApplicableError
from redcap_dagster.api.http.response import (
    Answer,
    check_data,
    malformed,
    read_body,
    read_json,
    read_text,
)
from redcap_dagster.api.http.retries import MayPass, passes
from redcap_dagster.api.http.transport import Transport

# -- calls ----------------------------------------------------------------------------------------


def export_rows(
    transport: Transport,
    request: str,
    parameters: dict[str, str],
    key: str,
    may_pass: MayPass = passes,
) -> list[dict[str, Any]]:
    """Export a list of objects, each of which has the key."""

    def receive(answer: Answer) -> list[dict[str, Any]]:
        rows = read_json(answer)
        if not isinstance(rows, list):
            raise malformed(answer, "it is no JSON list")
        if not all(isinstance(row, dict) and key in row for row in rows):
            raise malformed(answer, f"it has rows without {key}")
        return rows

    return transport.post(request, parameters, receive, may_pass)


def export_applicable(
    transport: Transport, content: str, key: str, **parameters: str
) -> list[dict[str, Any]]:
    """Export what only some projects have: nothing where REDCap says that this one has not."""
    try:
        return export_rows(transport, f"{content} export", asking(content) | parameters, key)
    except NotApplicableError:
        return []


def export_info(transport: Transport) -> dict[str, Any]:
    """Export project info."""

    def receive(answer: Answer) -> dict[str, Any]:
        info = read_json(answer)
        if not isinstance(info, dict) or not info:
            raise malformed(answer, "it is no JSON object")
        return info

    return transport.post("project export", asking("project"), receive)


EVENTS, REPEATS = "is_longitudinal", "has_repeating_instruments_or_events"


def has(info: dict[str, Any], flag: str) -> bool:
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
    format_, text = written(data, must_have)
    wanted = parameters | {"format": format_, "data": text}
    return transport.post_once(request, wanted, read_count)


def delete_listed(
    transport: Transport, content: str, name: str, values: Sequence[str | int]
) -> int:
    """Delete what is listed, once, and give how many there were."""
    parameters = asking(content, "delete") | array(name, values)
    return transport.post_once(f"{content} deletion", parameters, read_count)


# -- answers --------------------------------------------------------------------------------------


def read_count(answer: Answer) -> int:
    """Read how many: a bare number, or an object that has nothing else."""
    content = read_json(answer)
    if isinstance(content, dict) and len(content) == 1:
        (content,) = content.values()
    if isinstance(content, bool) or not str(content).isdecimal():
        raise malformed(answer, "it is no number")
    return int(content)


def read_line(answer: Answer) -> str:
    """Read one line of plain text; some servers write it as JSON (a guess)."""
    text = read_text(answer).strip()
    if text.startswith('"') and text.endswith('"'):
        try:
            text = str(json.loads(text))
        except ValueError:
            text = "\n"
    if "\n" in text or text[:1] in ("{", "["):
        raise malformed(answer, "it is no single line of text")
    return text


def read_done(answer: Answer) -> None:
    """Make sure that an answer is none but success, whose body is blank."""
    body = read_body(answer)
    if body.strip():
        check_data(answer, body)
