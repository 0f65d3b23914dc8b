"""The log of a project: each action, its user and its time, in the time zone of the server."""

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
"""Older versions log ``Created Record`` instead of ``Create record``."""

# The types of entries that each ``logtype`` selects; a blank one selects all.
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
# Documented without seconds; a client that is used with real servers sends seconds as well.
_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")
_SECOND: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")

_RECORD_SINCE: Final = (13, 4, 9)
"""Older versions have no column ``record``."""

LogType = Literal[
    "export", "manage", "user", "record_add", "record_edit", "record_delete", "lock_record"
]
Deed = Literal[
    "add user", "edit user", "delete user", "add role", "edit role", "delete role", "assign role",
    "lock", "sign",
]  # fmt: skip

# Known are Edit user role and Lock/Unlock Record; the others are guesses.
_DEEDS: Final[Mapping[str, Mapping[Deed, str]]] = {
    "edit": {
        "add user": "Add user",
        "edit user": "Edit user",
        "delete user": "Delete user",
        "add role": "Create user role",
        "edit role": "Edit user role",
        "delete role": "Delete user role",
        "assign role": "Assign user to role",
        "lock": "Lock/Unlock Record",
        "sign": "E-signature",
    },
    "updated": {
        "add user": "Created User",
        "edit user": "Updated User",
        "delete user": "Deleted User",
        "add role": "Created User Role",
        "edit role": "Updated User Role",
        "delete role": "Deleted User Role",
        "assign role": "Updated User",
        "lock": "Lock/Unlock Record",
        "sign": "E-signature",
    },
    "changed": {
        "add user": "Granted access to",
        "edit user": "Changed user privileges of",
        "delete user": "Revoked access of",
        "add role": "New role",
        "edit role": "Changed role",
        "delete role": "Removed role",
        "assign role": "Changed role of user",
        "lock": "Record locked",
        "sign": "Save e-signature",
    },
}


# -- writing --------------------------------------------------------------------------------------


def write_log(
    store: Store,
    project: StoredProject,
    type_: LogType,
    action: str,
    details: str,
    record: str = "",
) -> None:
    """Write an entry of the project's user at the current time."""
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
    """Write that the project itself was exported or changed."""
    # The blank at the end is as a server sends it.
    say = call.store.dialect.say
    write_log(call.store, call.project, "manage", say("Manage/Design "), say(details))


def log_record(
    call: Call,
    done: Literal["Create", "Update", "Delete"],
    record: str,
    values: Mapping[str, str] | None = None,
) -> None:
    """Write that a record was created, changed or deleted by the API; see `write_record_log`."""
    write_record_log(call.store, call.project, done, record, values, how="(API)")


def write_record_log(
    store: Store,
    project: StoredProject,
    done: Literal["Create", "Update", "Delete"],
    record: str,
    values: Mapping[str, str] | None = None,
    how: str = "",
) -> None:
    """Write that a record was created, changed or deleted.

    Args:
        store: Store that has the project.
        project: Project with the user who did it.
        done: Action.
        record: Record id.
        values: New values by column. Defaults to none.
        how: ``(API)`` for an action by the API. Defaults to a blank, for one on REDCap's pages.
    """
    types: dict[str, LogType] = {
        "Create": "record_add",
        "Update": "record_edit",
        "Delete": "record_delete",
    }
    # Known for created records; that the other actions were renamed as well is a guess.
    word = f"{done} record"
    if parse_version(project.structure.version) < _CREATE_SINCE:
        word = f"{done}d Record"
    said = store.dialect.say(" ".join(part for part in (word, how) if part))
    action = f"{said} {record}" if record else said
    details = ", ".join(f"{name} = '{value}'" for name, value in (values or {}).items())
    write_log(store, project, types[done], action, details, record)


def log_deed(store: Store, project: StoredProject, deed: Deed, subject: str) -> None:
    """Write that a user or role was changed, or a record locked or signed.

    Args:
        store: Store that has the project.
        project: Project with the user who did it.
        deed: What was done.
        subject: User, role or record. In one wording the column ``record`` has it in any case.
    """
    dialect, concerns_record = store.dialect, deed in ("lock", "sign")
    action = f"{dialect.say(_DEEDS[dialect.log_actions][deed])} {subject}"
    name = "record" if concerns_record else "role" if deed.endswith(" role") else "user"
    write_log(
        store,
        project,
        "lock_record" if concerns_record else "user",
        action,
        f"{name} = '{subject}'",
        subject if concerns_record or dialect.log_actions == "updated" else "",
    )


# -- reading --------------------------------------------------------------------------------------


def export_log(call: Call) -> Response:
    """Handle ``content=log``: entries from new to old; that the times are inclusive is a guess."""
    # Guess, by the text for access groups, which is known.
    require(
        call.project.rights.logging,
        call.store.dialect.missing_right,
        "Insufficient user privileges: You must have 'API Export' privileges and 'Logging' "
        "privileges in the project.",
    )
    parameters = call.parameters
    types = _TYPES[parameters.get_choice("logtype", tuple(_TYPES), "")]
    groups = call.store.list_access_groups(call.project)
    group = parameters.get_text("dag") or call.project.rights.data_access_group
    members = {record for (record, _), own in groups.items() if own == group}
    found = call.store.connection.execute(
        "select substr(time, 1, 16), username, action, details, record, type from log"
        " where project = ? and substr(time, 1, 16) between ? and ? order by id desc",
        (
            call.project.id,
            _read_time(parameters, "beginTime", _MINUTE)[:16],
            _read_time(parameters, "endTime", _MINUTE)[:16] or "9999",
        ),
    )
    rows = [
        entry
        for *entry, type_ in found
        if (not types or type_ in types)
        and parameters.get_text("user", entry[1]) == entry[1]
        and parameters.get_text("record", entry[4]) == entry[4]
        and (not group or entry[4] in members)
    ]
    log_management(call, "Export Logging (API)")
    columns: tuple[str, ...] = COLUMNS
    if parse_version(call.project.structure.version) < _RECORD_SINCE:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return respond_with_table(call, Table(columns, rows, delimiter=","))


def find_changed_records(
    store: Store, project: StoredProject, parameters: Parameters
) -> frozenset[str] | None:
    """Return the records created or changed between ``dateRangeBegin`` and ``dateRangeEnd``.

    Both are exclusive and in server time. The log decides: it does not have the records that a
    project was added with, and it keeps the old name of a record that was renamed.

    Returns:
        None if the request has no range.

    Raises:
        RequestError: One of them is not a time (that REDCap refuses it is a guess).
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
