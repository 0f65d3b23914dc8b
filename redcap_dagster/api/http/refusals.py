"""The messages with which a server refuses a request, as typed errors.

A message can hold record ids, values and the token. Of a known one, `known_messages` has the text;
of any other, `server_sentences` decides what may be shown.

What a server says chooses the text of an error, and a more exact type for it. The servers of others
say it in another language, so nothing in this package decides by these types alone.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from redcap_dagster.api.errors import (
    ErrorBodyError,
    REDCapError,
    RefusedError,
    RightsError,
    TokenError,
)
from redcap_dagster.api.http.import_refusals import import_refused_error, read_refused_values
from redcap_dagster.api.http.known_messages import NOT_ACCEPTED, match_known_message
from redcap_dagster.api.http.server_sentences import quote_sentence

_CUT_JSON: Final = re.compile(r'(?:\[\s*)?\{\s*"error"\s*:\s*"')
"""How an error begins that is longer than what was read, or that broke off."""

_XML: Final = re.compile(r"(?:<\?xml[^>]*>\s*)?<hash>\s*<error>(.*?)(?:</error>|\Z)", re.DOTALL)


def extract_message(body: str) -> str | None:
    """Return the message of an error body in any of REDCap's three formats; None if it is not one.

    Args:
        body: The body, or its first characters.

    Example:
        >>> bodies = '{"error":"no"}', '[{"error":"no"}]', "ERROR: no", "record_id"
        >>> [extract_message(body) for body in bodies]
        ['no', 'no', 'no', None]
    """
    text = body.strip().removeprefix("\ufeff")
    if text.startswith("ERROR:"):
        return text.removeprefix("ERROR:").strip()
    if text.startswith(("{", "[")):
        try:
            return find_message(json.loads(text))
        except (ValueError, RecursionError):
            cut = _CUT_JSON.match(text)
            return text[cut.end() :].rstrip('"}]\n ') if cut else None
    # Only at the start: a cell may hold the same text.
    found = _XML.match(text)
    return found.group(1).strip() if found else None


def find_message(content: Any) -> str | None:
    """Return the message of an error in JSON; None if it is anything else.

    An object with the key ``error`` is one, as project info does not have this key; a list of
    objects only if it holds nothing else.

    Example:
        >>> [find_message(content) for content in ({"error": "no"}, [{"error": "no"}], [], {})]
        ['no', 'no', None, None]
    """
    match content:
        case {"error": message}:
            return str(message)
        case [{"error": message, **others}] if not others:
            return str(message)
    return None


def known_refusal(
    message: str, request: str, status: int, sent: Mapping[str, str]
) -> REDCapError | None:
    """Return the error for a message, or for a page that holds one; None if it is not known.

    Args:
        message: The message or the page.
        request: The kind of request.
        status: The HTTP status.
        sent: The parameters of the request, without the token.

    Example:
        >>> text = "You cannot export arms for classic projects"
        >>> print(known_refusal(text, "arm export", 400, {}))
        arm export: A classic project has no arms.
    """
    # Import errors first: the values that they quote may match any other pattern.
    refused_values = read_refused_values(message)
    error = (
        import_refused_error(refused_values)
        if refused_values
        else match_known_message(message, sent)
    )
    if error is None:
        return None
    error.args = (f"{request}: {error}",)
    error.request, error.status, error.server_message = request, status, message
    return error


def unknown_refusal(
    message: str, request: str, status: int, sent: Mapping[str, str]
) -> RefusedError:
    """Return the error for a message that is not known, with what of it may be shown."""
    kind = ErrorBodyError if status == 200 else RefusedError
    error = kind(
        f"{request}: REDCap refused the request (status {status}).{quote_sentence(message, sent)} "
        "The error's attribute server_message has the whole message, which may hold data.",
        request=request,
        server_message=message,
    )
    error.status = status
    return error


def rights_error(message: str, request: str, sent: Mapping[str, str]) -> RightsError:
    """Return the error for a request that REDCap forbids, with a message that is not known."""
    return RightsError(
        f"{request}: the token's user does not have the right to do this."
        f"{quote_sentence(message, sent)} Check the user's rights in the project, whether they "
        "have expired, and whether the project is completed. The error's attribute server_message "
        "has the whole message, which may hold data.",
        request=request,
        server_message=message,
    )


def tell_token_from_right(
    error: REDCapError, sent: Mapping[str, str], *, knows_token: bool
) -> REDCapError:
    """Return the error for a forbidden request, by whether REDCap accepts the token otherwise.

    Args:
        error: The error, by what the server says.
        sent: The parameters of the request.
        knows_token: Whether REDCap responds to a request for its version with the same token.
    """
    message = error.server_message or ""
    if knows_token:
        told = error
        if isinstance(error, TokenError):
            told = rights_error(message, error.request, sent)
    elif isinstance(error, TokenError) or (isinstance(error, RightsError) and error.rights):
        told = error
    else:
        told = TokenError(
            f"{error.request}: {NOT_ACCEPTED}{quote_sentence(message, sent)}",
            request=error.request,
            server_message=message,
        )
    told.status = error.status
    return told
