"""Surveys: links, codes and participants. The links lead to no survey."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

from redcap_dagster.project import NOT_COMPLETED
from redcap_dagster.project.system_columns import SURVEY_IDENTIFIER, timestamp_column
from redcap_dagster.sandbox.calls.call import (
    Call,
    Handler,
    Response,
    respond_with_table,
    respond_with_text,
)
from redcap_dagster.sandbox.calls.log import log_management
from redcap_dagster.sandbox.calls.required_rights import require_export_right
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.selection import make_record_arm_reader, make_record_sort_key

_COLUMNS: Final = (
    "email",
    "email_occurrence",
    "identifier",
    "invitation_sent_status",
    "invitation_send_time",
    "response_status",
    "survey_access_code",
    "survey_link",
)
_RIGHT: Final = "manage_survey_participants"


def export_participants(call: Call) -> Response:
    """Handle ``content=participantList``: records that have an identifier or a response.

    Email addresses are blank. The rows and the numbers of the status are guesses.
    """
    require_export_right(call, _RIGHT)
    instrument, event = _find_survey(call), call.parameters.get_text("event")
    events = (event,) if call.project.structure.is_longitudinal else ()
    rows = dict(call.store.find_rows(call.project, (), events))
    timestamp = timestamp_column(instrument)
    values: dict[str, dict[str, str]] = {}
    names = (SURVEY_IDENTIFIER, timestamp)
    for number, name, value in call.store.find_values(call.project, (), events, names):
        if _may_see(call, rows[number].record):
            values.setdefault(rows[number].record, {})[name] = value
    written = []
    for record in sorted(values, key=make_record_sort_key):
        timestamp_value = values[record].get(timestamp, "")
        status = 0 if not timestamp_value else 1 if timestamp_value == NOT_COMPLETED else 2
        response_key = (record, instrument, event, "1")
        identifier = values[record].get(SURVEY_IDENTIFIER, "")
        code, link = (
            _make_code(call, 9, "access", *response_key),
            _make_url(call, f"?s={_make_code(call, 16, *response_key)}"),
        )
        written.append(("", "", identifier, 0, "", status, code, link))
    log_management(call, "Export survey participant list (API)")  # guess
    return respond_with_table(call, Table(_COLUMNS, written))


def _make_url(call: Call, query: str) -> str:
    return f"{call.store.url}surveys/{query}"


def _make_link(call: Call) -> str:
    return _make_url(call, f"?s={_make_code(call, 16, *_read_response_key(call))}")


def _make_return_code(call: Call) -> str:
    return _make_code(call, 8, "return", *_read_response_key(call))


def _make_access_code(call: Call) -> str:
    return _make_code(call, 9, "access", *_read_response_key(call))


def _make_queue_link(call: Call) -> str:
    return _make_url(call, f"?sq={_make_code(call, 16, _find_record(call))}")


def _make_handler(make_text: Callable[[Call], str], what: str) -> Handler:
    """Return a handler that responds with plain text; the text of the log is a guess."""

    def handle(call: Call) -> Response:
        require_export_right(call, _RIGHT)
        text = make_text(call)
        log_management(call, f"Export survey {what} (API)")
        return respond_with_text(text, call.format)

    return handle


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("participantList", "export"): export_participants,
    ("surveyLink", "export"): _make_handler(_make_link, "link"),
    ("surveyQueueLink", "export"): _make_handler(_make_queue_link, "queue link"),
    ("surveyReturnCode", "export"): _make_handler(_make_return_code, "return code"),
    ("surveyAccessCode", "export"): _make_handler(_make_access_code, "access code"),
}


def _read_response_key(call: Call) -> tuple[str, str, str, str]:
    instance = call.parameters.get_text("repeat_instance", "1")
    return _find_record(call), _find_survey(call), call.parameters.get_text("event"), instance


def _find_record(call: Call) -> str:
    record = call.parameters.get_text("record")
    if not (call.store.has_record(call.project, record) and _may_see(call, record)):
        raise RequestError(400, f'The record "{record}" does not exist')
    return record


def _may_see(call: Call, record: str) -> bool:
    """Return whether the user sees a record in any of its arms."""
    if not (own := call.project.rights.data_access_group):
        return True
    groups = call.store.list_access_groups(call.project)
    get_record_arm = make_record_arm_reader(call.project.structure)
    rows = call.store.find_rows(call.project, (record,), ())
    return any(groups.get(get_record_arm(row_key)) == own for _, row_key in rows)


def _find_survey(call: Call) -> str:
    """Return the requested survey, which the event has to have; the refusals are guesses."""
    structure, form = call.project.structure, call.parameters.get_text("instrument")
    if form not in structure.surveys:
        raise RequestError(400, f"The instrument '{form}' is not a survey of this project")
    events = structure.designated_events(form)
    if structure.is_longitudinal and call.parameters.get_text("event") not in events:
        raise RequestError(400, f"The instrument '{form}' is not designated for this event")
    return form


def _make_code(call: Call, length: int, *texts: str) -> str:
    """Return a code that is the same for the same texts and that does not reveal them."""
    text = "\0".join((str(call.project.id), *texts)).encode(errors="replace")
    digest = hmac.digest(call.store.super_token.encode(), text, hashlib.sha256)
    return base64.b32encode(digest).decode()[:length]
