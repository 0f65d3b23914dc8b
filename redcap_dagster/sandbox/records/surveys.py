"""Surveys: links, codes and participants. No survey is behind a link."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

from redcap_dagster.project import NOT_COMPLETED
from redcap_dagster.project.system_columns import SURVEY_IDENTIFIER, timestamp_column
from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply, table_reply, text_reply
from redcap_dagster.sandbox.calls.log import log_manage
from redcap_dagster.sandbox.calls.required_rights import require_to_export
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.selection import record_order, subject_of

# A name that leads nowhere, so that no link is followed to anyone's server.
_ADDRESS: Final = "https://redcap.invalid/surveys/"
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


def export_participants(call: Call) -> Reply:
    """Answer ``content=participantList``: the records that have an identifier or a response.

    Nobody was invited, so addresses are blank; the rows and the numbers of the status are guesses.
    """
    require_to_export(call, _RIGHT)
    instrument, event = _survey(call), call.parameters.text("event")
    events = (event,) if call.project.structure.is_longitudinal else ()
    rows = dict(call.store.rows(call.project, (), events))
    timestamp = timestamp_column(instrument)
    values: dict[str, dict[str, str]] = {}
    names = (SURVEY_IDENTIFIER, timestamp)
    for number, name, value in call.store.values(call.project, (), events, names):
        if _sees(call, rows[number].record):
            values.setdefault(rows[number].record, {})[name] = value
    written = []
    for record in sorted(values, key=record_order):
        answered = values[record].get(timestamp, "")
        status = 0 if not answered else 1 if answered == NOT_COMPLETED else 2
        at = (record, instrument, event, "1")
        identifier = values[record].get(SURVEY_IDENTIFIER, "")
        code, link = _code(call, 9, "access", *at), f"{_ADDRESS}?s={_code(call, 16, *at)}"
        written.append(("", "", identifier, 0, "", status, code, link))
    log_manage(call, "Export survey participant list (API)")  # guess
    return table_reply(call, Table(_COLUMNS, written))


def _link(call: Call) -> str:
    return f"{_ADDRESS}?s={_code(call, 16, *_response(call))}"


def _return_code(call: Call) -> str:
    return _code(call, 8, "return", *_response(call))


def _access_code(call: Call) -> str:
    return _code(call, 9, "access", *_response(call))


def _queue_link(call: Call) -> str:
    return f"{_ADDRESS}?sq={_code(call, 16, _record(call))}"


def _answer(tell: Callable[[Call], str], what: str) -> Answerer:
    """Plain text in every format. What the log says is a guess."""

    def answer(call: Call) -> Reply:
        require_to_export(call, _RIGHT)
        text = tell(call)
        log_manage(call, f"Export survey {what} (API)")
        return text_reply(text, call.format)

    return answer


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    ("participantList", "export"): export_participants,
    ("surveyLink", "export"): _answer(_link, "link"),
    ("surveyQueueLink", "export"): _answer(_queue_link, "queue link"),
    ("surveyReturnCode", "export"): _answer(_return_code, "return code"),
    ("surveyAccessCode", "export"): _answer(_access_code, "access code"),
}


def _response(call: Call) -> tuple[str, str, str, str]:
    instance = call.parameters.text("repeat_instance", "1")
    return _record(call), _survey(call), call.parameters.text("event"), instance


def _record(call: Call) -> str:
    record = call.parameters.text("record")
    if not (call.store.has(call.project, record) and _sees(call, record)):
        raise RequestError(400, f'The record "{record}" does not exist')
    return record


def _sees(call: Call, record: str) -> bool:
    """Whether a record, in any of its arms, is of the user's access group."""
    if not (own := call.project.rights.data_access_group):
        return True
    groups = call.store.access_groups(call.project)
    subject = subject_of(call.project.structure)
    rows = call.store.rows(call.project, (record,), ())
    return any(groups.get(subject(place)) == own for _, place in rows)


def _survey(call: Call) -> str:
    """The survey that is named, in an event that has it; these refusals are guesses."""
    structure, asked = call.project.structure, call.parameters.text("instrument")
    if asked not in structure.surveys:
        raise RequestError(400, f"The instrument '{asked}' is not a survey of this project")
    if structure.is_longitudinal and call.parameters.text("event") not in structure.events_of(
        asked
    ):
        raise RequestError(400, f"The instrument '{asked}' is not designated for this event")
    return asked


def _code(call: Call, length: int, *of: str) -> str:
    """A code that is always the same for the same, and that nothing is to be read from."""
    text = "\0".join((str(call.project.id), *of)).encode(errors="replace")
    digest = hmac.digest(call.store.super_token.encode(), text, hashlib.sha256)
    return base64.b32encode(digest).decode()[:length]
