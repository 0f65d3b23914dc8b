"""What a server says when it refuses -> a typed error.

REDCap's messages hold what they refuse, record ids and values among it. So each is matched to a
known form: the form and names of fields go into the text, the rest stays in attributes. The forms
are those that clients of real servers have recorded; any other message is ``unknown``.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from redcap_dagster.api.errors import (
    ErrorBodyError,
    NotApplicableError,
    REDCapError,
    RefusedError,
    RightsError,
    ServerError,
    ServerMemoryError,
    TokenError,
    WrongURLError,
)
from redcap_dagster.api.http.import_refusals import import_refused_error, read_refused_values
from redcap_dagster.project.name_lists import list_names

_NAME = re.compile(r"[a-z][a-z0-9_]*")

_RIGHTS = (
    "API Export",
    "API Import/Update",
    "Data Access Groups",
    "Create Record",
    "Delete Record",
)
"""Those that messages have been seen to name."""

_PARAMETERS = ("records", "fields", "forms", "events", "arms", "dags", "users", "roles")
"""The arrays that the API takes; another word in a message may be data, and is not shown."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A known form of message, and the error that it becomes."""

    pattern: re.Pattern[str]
    build: Callable[[re.Match[str]], REDCapError]


def extract_message(body: str) -> str | None:
    """Take the message out of an error body of any of REDCap's three shapes.

    Example:
        >>> [extract_message(body) for body in ('{"error":"no"}', "ERROR: no", "record_id")]
        ['no', 'no', None]
    """
    text = body.strip().removeprefix("\ufeff")
    if text.startswith("ERROR:"):
        return text.removeprefix("ERROR:").strip()
    if text.startswith("{"):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return None
        # Project info is an object too, but has no such key.
        return str(content["error"]) if "error" in content else None
    # Only at the start: a cell may hold the same.
    found = re.match(r"(?:<\?xml[^>]*>\s*)?<hash>\s*<error>(.*?)</error>", text, re.DOTALL)
    return found.group(1).strip() if found else None


def known_refusal(message: str, request: str, status: int) -> REDCapError | None:
    """Turn the server's message, or a page that holds one, into the error that it means.

    Example:
        >>> error = known_refusal("You cannot export arms for classic projects", "arm export", 400)
        >>> print(error)
        arm export: A classic project has no arms.
    """
    # Complaints come first: what they quote may look like any other form.
    refused_values = read_refused_values(message)
    error = import_refused_error(refused_values) if refused_values else _match_known_form(message)
    if error is None:
        return None
    error.args = (f"{request}: {error}",)
    error.request = request
    error.server_message = message
    if isinstance(error, ServerError):
        error.status = status
    return error


def _match_known_form(message: str) -> REDCapError | None:
    for form in _FORMS:
        found = form.pattern.search(message)
        if found:
            return form.build(found)
    return None


def unknown_refusal(message: str, request: str, status: int) -> RefusedError:
    """Make the error for a message of no known form, without showing it."""
    kind = ErrorBodyError if status == 200 else RefusedError
    return kind(
        f"{request}: REDCap refused the request (status {status}) with a message that this "
        "package does not know, and does not show, as it may hold data. Look at the error's "
        "attribute server_message.",
        request=request,
        server_message=message,
    )


def _refused(
    text: str, kind: str, names: Iterable[str] = (), records: Iterable[str] = ()
) -> RefusedError:
    error = RefusedError(text)
    error.kind, error.names, error.records = kind, tuple(names), tuple(records)
    return error


def _not_applicable(text: str) -> NotApplicableError:
    error = NotApplicableError(text)
    error.kind = "not applicable"
    return error


def _rights(found: re.Match[str]) -> RightsError:
    rights = tuple(right for right in _RIGHTS if right in found.string)
    named = f": {', '.join(rights)}" if rights else ""
    error = RightsError(
        f"The token's user lacks a right that this needs{named}. Have it given in the project's "
        "User Rights."
    )
    error.rights = rights
    return error


def _parameter(found: re.Match[str]) -> str:
    name = found.group(1).lower()
    return name if name in _PARAMETERS else "values"


def _invalid_values(found: re.Match[str]) -> RefusedError:
    parameter, values = _parameter(found), re.findall(r"'([^']*)'", found.group(2))
    if parameter not in ("fields", "forms", "events"):
        text = f"REDCap does not know {len(values)} of the {parameter} that were asked for."
        ids = values if parameter == "records" else ()
        return _refused(text, f"unknown {parameter}", records=ids)
    names = [value for value in values if _NAME.fullmatch(value)]
    return _refused(
        f"REDCap does not know these {parameter}, or does not let this user export them: "
        f"{list_names(names, total=len(values))}. Leave them out, or ask for the export rights.",
        f"unknown {parameter}",
        names,
    )


def _unknown_columns(found: re.Match[str]) -> RefusedError:
    names = [name for name in re.split(r"[,\s]+", found.group(1)) if _NAME.fullmatch(name)]
    return _refused(
        f"These are no fields of the project: {list_names(names)}. Nothing of this "
        "request was imported. Leave them out, or correct their names.",
        "unknown fields",
        names,
    )


def _form(pattern: str, build: Callable[[re.Match[str]], REDCapError]) -> _Form:
    return _Form(re.compile(pattern, re.IGNORECASE | re.DOTALL), build)


_FORMS = (
    _form(
        r"You do not have permissions to use the API",
        lambda _: TokenError(
            "REDCap does not accept the token. Check that the token is whole and of this server, "
            "that it was not regenerated, and that its user has API rights in the project "
            "(REDCap says the same for all of these)."
        ),
    ),
    _form(
        r"ran out of server memory|Allowed memory size of",
        lambda _: ServerMemoryError(
            "REDCap ran out of memory over this request. Ask for fewer records or forms at once, "
            "or have the server's administrator raise PHP's memory limit."
        ),
    ),
    _form(
        r"combination could not connect",
        lambda _: ServerError(
            "REDCap could not reach its database. Try again later; if it lasts, tell the "
            "server's administrator."
        ),
    ),
    _form(
        r"multiple browser tabs of the same REDCap page",
        lambda _: ServerError(
            "REDCap stumbled over parallel requests, which passes by itself. Try again; if it "
            "lasts, run fewer at once."
        ),
    ),
    _form(
        r"no longer exists because it was deleted",
        lambda _: _refused(
            "The project was deleted in REDCap. Take it out of your definitions, or have an "
            "administrator restore it.",
            "project deleted",
        ),
    ),
    _form(
        r"requested method is not implemented",
        lambda _: WrongURLError(
            "REDCap got something else than a POST to its API. Check the URL: it ends in /api/."
        ),
    ),
    _form(
        r'value of the parameter "?content"? is not valid',
        lambda _: _refused(
            "This REDCap does not know such a request; it may be too old for it.",
            "unknown content",
        ),
    ),
    _form(r'values in the parameter "?(\w+)"? are not valid:(.*)', _invalid_values),
    _form(
        r'"?(\w+)"? parameter has been provided with a value, but the value is not an array',
        lambda found: _refused(
            f"REDCap wants the {_parameter(found)} as an array.", "not an array"
        ),
    ),
    _form(
        r"You cannot export (arms|events|form/event mappings) for classic projects",
        lambda found: _not_applicable(f"A classic project has no {found.group(1).lower()}."),
    ),
    _form(
        r"You cannot export repeating instruments and events because",
        lambda _: _not_applicable("The project has no repeating instruments or events."),
    ),
    _form(
        r"Insufficient user privileges|You do not have .{1,60} privileges",
        _rights,
    ),
    _form(
        r'The record "?(.*?)"? does not exist',
        lambda found: _refused(
            "REDCap does not know a record that was asked for. It may have been deleted or "
            "renamed, or belong to another data access group.",
            "unknown record",
            records=(found.group(1),),
        ),
    ),
    _form(r"not found in the project as real data fields:(.*)", _unknown_columns),
    _form(
        r"records provided cannot be deleted because .* do not exist: *(.*)",
        lambda found: _refused(
            "REDCap does not know all of the records that were to be deleted, and deleted none.",
            "unknown record",
            records=re.split(r",\s*", found.group(1).strip()),
        ),
    ),
    _form(
        r"The field '(\w+)' does not exist or is not a 'file' field",
        lambda found: _refused(
            f"{found.group(1)} is no field for files in this project.",
            "no file field",
            [found.group(1)],
        ),
    ),
    _form(
        r"There is no file to download for this record",
        lambda _: _refused("Nothing is stored there.", "no file"),
    ),
    _form(
        r"File Repository folder .* does not exist or else you do not have permission",
        lambda _: _refused(
            "The file repository has no such folder, or the token's user may not see it.",
            "unknown folder",
        ),
    ),
    _form(
        r"The data is not in the specified format",
        lambda _: _refused(
            "REDCap cannot read the data of this import. Compare its columns with those that the "
            "export gives.",
            "unreadable data",
        ),
    ),
    _form(
        r"does not belong to this project",
        lambda _: _refused("What was asked for is of another project.", "other project"),
    ),
)
