"""The messages of REDCap that are known, and the typed errors that they become.

The patterns are those that clients of real servers have recorded. Only counts are shown, and names
that the request itself has.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from redcap_dagster.api.errors import (
    NotApplicableError,
    REDCapError,
    RefusedError,
    RightsError,
    ServerError,
    ServerMemoryError,
    TokenError,
    WrongURLError,
)
from redcap_dagster.project.name_lists import list_names

_RIGHTS = (
    "API Export",
    "API Import/Update",
    "Data Access Groups",
    "Create Record",
    "Delete Record",
)
"""The rights that messages have been seen to name."""

_PARAMETERS = ("records", "fields", "forms", "events", "arms", "dags", "users", "roles")
"""The arrays that the API takes. Any other word in a message may be data, and is not shown."""


_Found = re.Match[str]
_Sent = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """The pattern of a known message, and the error that it becomes, with the request's names.

    A pattern is searched in pages too, so it begins with a text, or every repetition in it has a
    limit: the search takes time in proportion to the length of the page.
    """

    pattern: re.Pattern[str]
    build: Callable[[_Found, _Sent], REDCapError]


NOT_ACCEPTED = (
    "REDCap does not accept the token. The token is wrong, or its user does not have API rights in "
    "the project; REDCap may say the same of both. Check that the token is complete and from this "
    "server, that it was not regenerated, and that its user has API rights that have not expired."
)
"""What happened to a token, and what to do."""


def match_known_message(message: str, sent: Mapping[str, str]) -> REDCapError | None:
    """Return the error of the first known message in a text; None if it holds none.

    Args:
        message: The message, or a page that holds one.
        sent: The parameters of the request, without the token.
    """
    for known in KNOWN_MESSAGES:
        found = known.pattern.search(message)
        if found:
            return known.build(found, sent)
    return None


def _refused_error(
    text: str, kind: str, names: Iterable[str] = (), records: Iterable[str] = ()
) -> RefusedError:
    error = RefusedError(text)
    error.kind, error.names, error.records = kind, tuple(names), tuple(records)
    return error


def _not_applicable_error(text: str) -> NotApplicableError:
    error = NotApplicableError(text)
    error.kind = "not applicable"
    return error


def _rights_error(found: _Found, _: _Sent) -> RightsError:
    rights = tuple(right for right in _RIGHTS if right in found.string)
    named = f": {', '.join(rights)}" if rights else ""
    error = RightsError(
        f"The token's user lacks a right that this request needs{named}. Ask for it in the "
        "project's User Rights."
    )
    error.rights = rights
    return error


def _read_parameter(found: _Found) -> str:
    name = found.group(1).lower()
    return name if name in _PARAMETERS else "values"


def _invalid_values_error(found: _Found, sent: _Sent) -> RefusedError:
    parameter, values = _read_parameter(found), re.findall(r"'([^']*)'", found.group(2))
    if parameter not in ("fields", "forms", "events"):
        text = (
            f"REDCap does not know {len(values)} of the {parameter} that were requested. Check "
            "their names, or leave them out."
        )
        ids = values if parameter == "records" else ()
        return _refused_error(text, f"unknown {parameter}", records=ids)
    # Only names that were requested are shown: they were checked against the dictionary.
    requested = {value for key, value in sent.items() if key.startswith(f"{parameter}[")}
    names = [value for value in values if value in requested]
    return _refused_error(
        f"REDCap does not know these {parameter}, or does not let this user export them: "
        f"{list_names(names, total=len(values))}. Leave them out, or ask for the export rights.",
        f"unknown {parameter}",
        names,
    )


def _unknown_columns_error(found: _Found, _: _Sent) -> RefusedError:
    # The project does not have these names, so they may be data.
    count = len(re.findall(r"[^,\s]+", found.group(1)))
    return _refused_error(
        f"The project does not have {count} of the fields. Nothing of this request was imported. "
        "Compare the columns with the data dictionary: leave out the others, or correct their "
        "names. The error's attribute server_message has these names.",
        "unknown fields",
    )


def _no_file_field_error(found: _Found, sent: _Sent) -> RefusedError:
    names = [found.group(1)] if found.group(1) == sent.get("field") else []
    return _refused_error(
        f"The project does not have a file field{' '.join(['', *names])}. Give one of type file.",
        "no file field",
        names,
    )


def _known(pattern: str, build: Callable[[_Found, _Sent], REDCapError]) -> KnownMessage:
    return KnownMessage(re.compile(pattern, re.IGNORECASE | re.DOTALL), build)


KNOWN_MESSAGES = (
    _known(
        r"You do not have permissions to use the API",
        lambda _, __: TokenError(NOT_ACCEPTED),
    ),
    _known(
        r"ran out of server memory|Allowed memory size of",
        lambda _, __: ServerMemoryError(
            "REDCap ran out of memory during this request. Request fewer records or instruments at "
            "once, or ask the server's administrator to raise PHP's memory limit."
        ),
    ),
    _known(
        r"combination could not connect",
        lambda _, __: ServerError(
            "REDCap could not reach its database. Try again later; if it lasts, tell the "
            "server's administrator."
        ),
    ),
    _known(
        r"multiple browser tabs of the same REDCap page",
        lambda _, __: ServerError(
            "REDCap failed because of parallel requests, which passes by itself. Try again; if it "
            "lasts, lower concurrency."
        ),
    ),
    _known(
        r"no longer exists because it was deleted",
        lambda _, __: _refused_error(
            "The project was deleted in REDCap. Remove it from your definitions, or ask an "
            "administrator to restore it.",
            "project deleted",
        ),
    ),
    _known(
        r"requested method is not implemented",
        lambda _, __: WrongURLError(
            "REDCap received something other than a POST to its API. Check the URL: it ends in "
            "/api/. If other requests to it succeed, this one was larger than post_max_size in the "
            "server's PHP settings: send less at once."
        ),
    ),
    _known(
        r'value of the parameter "?content"? is not valid',
        lambda _, __: _refused_error(
            "REDCap does not know this kind of request. The server may be too old for it.",
            "unknown content",
        ),
    ),
    _known(r'values in the parameter "?(\w{1,40})"? are not valid:(.*)', _invalid_values_error),
    _known(
        r'"?(\w{1,40})"? parameter has been provided with a value, but the value is not an array',
        lambda found, _: _refused_error(
            f"REDCap takes the {_read_parameter(found)} only as an array.", "not an array"
        ),
    ),
    _known(
        r"You cannot export (arms|events|form/event mappings) for classic projects",
        lambda found, _: _not_applicable_error(
            f"A classic project has no {found.group(1).lower()}."
        ),
    ),
    _known(
        r"You cannot export repeating instruments and events because",
        lambda _, __: _not_applicable_error("The project has no repeating instruments or events."),
    ),
    _known(
        r"Insufficient user privileges|You do not have .{1,60} privileges",
        _rights_error,
    ),
    _known(
        r'The record "?(.{0,200}?)"? does not exist',
        lambda found, _: _refused_error(
            "REDCap does not know a record that was requested. It may have been deleted or "
            "renamed, or belong to another data access group.",
            "unknown record",
            records=(found.group(1),),
        ),
    ),
    _known(r"not found in the project as real data fields:(.*)", _unknown_columns_error),
    _known(
        r"records provided cannot be deleted because .{0,200}? do not exist: {0,9}(.*)",
        lambda found, _: _refused_error(
            "REDCap does not know all of the records to delete, and deleted none. Leave out those "
            "in the error's attribute records.",
            "unknown record",
            records=re.split(r",\s*", found.group(1).strip()),
        ),
    ),
    _known(
        r"The field '(\w{1,100})' does not exist or is not a 'file' field",
        _no_file_field_error,
    ),
    _known(
        r"There is no file to download for this record",
        lambda _, __: _refused_error("No file is stored in this field of the record.", "no file"),
    ),
    _known(
        r"File Repository folder .{0,200}? does not exist or else you do not have permission",
        lambda _, __: _refused_error(
            "The file repository does not have this folder, or the token's user may not see it.",
            "unknown folder",
        ),
    ),
    _known(
        r"The data is not in the specified format",
        lambda _, __: _refused_error(
            "REDCap cannot read the data of this import. Compare its columns with those of an "
            "export.",
            "unreadable data",
        ),
    ),
    _known(
        r"does not belong to this project",
        lambda _, __: _refused_error(
            "The request names something of another project.", "other project"
        ),
    ),
)
