"""The log of a project: what was done, by whom and when, in the time zone of the server."""

import re
from collections.abc import Mapping
from typing import Final, Literal

from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_table
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.parameters import Parameters, RequestError
from redcap_dagster.sandbox.protocol.version import parse_version
from redcap_dagster.sandbox.store.rights import require
from redcap_dagster.sandbox.store.store import Store, StoredProject

COLUMNS: Final = ("timestamp", "username", "action", "details", "record")
_CREATE_SINCE: Final = (12, 0, 0)
"""Before, it was ``Created Record``."""

# The types of the entries that a filter lets through; without a filter, none is asked for.
_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "": (),
    "export": ("export",),
    "manage": ("manage",),
    "user": ("user",),
    "record": ("record_add", "record_edit", "record_delete"),
    "record_add": ("record_add",),
    "record_edit": ("record_edit",),
    "record_delete": ("record_delete",),
    "lock_record": ("lock_record",),
    "page_view": ("page_view",),
}
# Documented to the minute; a client that is used with real servers sends seconds as well.
_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")
_SECOND: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")

LogType = Literal["export", "manage", "user", "record_add", "record_edit", "record_delete"]


# -- writing --------------------------------------------------------------------------------------


def write_log(
    store: Store,
    project: StoredProject,
    type_: LogType,
    action: str,
    details: str,
    record: str = "",
) -> None:
    """Write an entry, as done by the project's user now."""
    with store.lock, store.connection as database:
        database.execute(
            "insert into log (project, time, username, type, action, details, record)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (
                project.id,
                store.now().strftime("%Y-%m-%d %H:%M:%S"),
                project.username,
                type_,
                action,
                details,
                record,
            ),
        )


def log_management(call: Call, details: str) -> None:
    """Write that something of the project itself was looked at or changed."""
    # The blank at the end is as a server sends it.
    write_log(call.store, call.project, "manage", "Manage/Design ", details)


def write_record_log(
    store: Store,
    project: StoredProject,
    done: Literal["Create", "Update", "Delete"],
    record: str,
    values: Mapping[str, str] | None = None,
    how: str = "",
) -> None:
    """Write that a record was created, changed or deleted, by ``(API)`` or at REDCap's pages."""
    types: dict[str, LogType] = {
        "Create": "record_add",
        "Update": "record_edit",
        "Delete": "record_delete",
    }
    # Seen of created records; that the others changed with them is a guess.
    word = f"{done} record"
    if parse_version(project.structure.version) < _CREATE_SINCE:
        word = f"{done}d Record"
    action = " ".join(part for part in (word, how, record) if part)
    details = ", ".join(f"{name} = '{value}'" for name, value in (values or {}).items())
    write_log(store, project, types[done], action, details, record)


# -- reading --------------------------------------------------------------------------------------


def export_log(call: Call) -> Response:
    """Answer ``content=log``: the newest first. That the times named are within is a guess."""
    # Guess: a text like that for access groups, which is known.
    require(
        call.project.rights.logging,
        400,
        "Insufficient user privileges: You must have 'API Export' privileges and 'Logging' "
        "privileges in the project.",
    )
    asked = call.parameters
    types = _TYPES[asked.get_choice("logtype", tuple(_TYPES), "")]
    groups = call.store.list_access_groups(call.project)
    seen = asked.get_text("dag") or call.project.rights.data_access_group
    members = {record for (record, _), group in groups.items() if group == seen}
    found = call.store.connection.execute(
        "select substr(time, 1, 16), username, action, details, record, type from log"
        " where project = ? and substr(time, 1, 16) between ? and ? order by id desc",
        (
            call.project.id,
            _read_time(asked, "beginTime", _MINUTE)[:16],
            _read_time(asked, "endTime", _MINUTE)[:16] or "9999",
        ),
    )
    rows = [
        entry
        for *entry, type_ in found
        if (not types or type_ in types)
        and asked.get_text("user", entry[1]) == entry[1]
        and asked.get_text("record", entry[4]) == entry[4]
        and (not seen or entry[4] in members)
    ]
    log_management(call, "Export Logging (API)")
    return respond_with_table(call, Table(COLUMNS, rows))


def find_changed_records(
    store: Store, project: StoredProject, parameters: Parameters
) -> frozenset[str] | None:
    """The records created or modified in ``dateRangeBegin`` to ``dateRangeEnd``, by the log.

    After the one and before the other, both in server time. What a project was made with is in no
    log, and the log of a record that was renamed keeps its old name.

    Returns:
        None if no range is asked for.

    Raises:
        RequestError: One is no time (that it is refused is a guess).
    """
    begin, end = (
        _read_time(parameters, name, _SECOND) for name in ("dateRangeBegin", "dateRangeEnd")
    )
    if not (begin or end):
        return None
    found = store.connection.execute(
        "select distinct record from log where project = ? and time > ? and time < ?"
        " and type in ('record_add', 'record_edit')",
        (project.id, begin, end or "9999"),
    )
    return frozenset(record for (record,) in found)


def _read_time(parameters: Parameters, name: str, shape: re.Pattern[str]) -> str:
    text = parameters.get_text(name)
    if text and not shape.fullmatch(text):
        raise RequestError(400, f'The value of the parameter "{name}" is not valid')
    return text


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {("log", "export"): export_log}
