"""The users of a project and their rights, as rows that come and go."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from redcap_dagster.sandbox.calls.call import (
    Answerer,
    Call,
    Reply,
    count_reply,
    table_reply,
    text_reply,
)
from redcap_dagster.sandbox.calls.log import log_manage
from redcap_dagster.sandbox.calls.required_rights import require_to_change, require_to_export
from redcap_dagster.sandbox.people.data_access_groups import groups_of, known_group
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.import_data import Row, read_rows
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.protocol.version import version_of
from redcap_dagster.sandbox.store.rights import FULL, Rights

_RIGHT: Final = "user_rights"
_BY_FORM: Final = ("forms", "forms_export")
_RANDOMIZATION: Final = ("random_setup", "random_dashboard", "random_perform")
_SINCE: Final = {
    "api_modules": (14, 0, 3),
    "email_logging": (14, 4, 0),
    "data_access_group_label": (16, 0, 0),
}
_BIT_RIGHTS_SINCE: Final = (15, 6, 0)
"""Since then a form's right is 128 for none, 129 to read, 130 to edit."""

_PERSON: Final = ("username", "email", "firstname", "lastname", "expiration")
_GROUP: Final = ("data_access_group", "data_access_group_id", "data_access_group_label")
_EXPIRATION: Final = """
create table if not exists expiration (
    project integer not null, username text not null, day text not null,
    primary key (project, username),
    foreign key (project, username) references user on delete cascade
) without rowid
"""


# -- rights as rows -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RightsRow:
    """A user or a role as an export has it: names and texts, then the rights."""

    named: Mapping[str, str | int]
    rights: Rights


def rights_reply(call: Call, rows: Sequence[RightsRow], *, as_text: bool) -> Reply:
    """Reply with rights: those to forms are an object in JSON, and ``form:1,other:0`` elsewhere.

    Args:
        call: The call.
        rows: What to tell; there is one at least.
        as_text: Whether JSON has texts for numbers, as seen of roles.
    """
    structure = call.project.structure
    version = version_of(structure.version)
    names = [
        column.name
        for column in fields(Rights)
        if column.name != "data_access_group"
        and column.name not in _BY_FORM
        and version >= _SINCE.get(column.name, ())
        and (structure.info.randomization_enabled or column.name not in _RANDOMIZATION)
    ]
    edit = 130 if version >= _BIT_RIGHTS_SINCE else 1
    written: list[dict[str, Any]] = []
    for row in rows:
        flags = {name: getattr(row.rights, name) for name in names}
        forms = [form.instrument_name for form in structure.instruments]
        levels = {
            "forms": {form: row.rights.forms.get(form, edit) for form in forms},
            "forms_export": {form: row.rights.forms_export.get(form, FULL) for form in forms},
        }
        written.append({**row.named, **flags, **levels})
    if call.format == "json":
        text = json.dumps(
            [_as_text(row) for row in written] if as_text else written,
            ensure_ascii=False,
            separators=(",", ":"),
        )
        return text_reply(text.replace("/", "\\/"), "json")
    columns = tuple(written[0]) if written else ()
    # In XML these may be elements of their own; no answer is known.
    cells = [
        tuple(
            ",".join(f"{form}:{level}" for form, level in value.items())
            if isinstance(value, dict)
            else value
            for value in row.values()
        )
        for row in written
    ]
    return table_reply(call, Table(columns, cells))


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_text(one) for name, one in value.items()}
    return str(value)


def read_rights_rows(call: Call) -> list[Row]:
    """Read imported users or roles, with the rights to forms as ``form:1,other:0``."""
    data = call.parameters.text("data")
    if call.format == "json":
        try:
            rows = json.loads(data)
            for row in rows:
                for name in _BY_FORM:
                    if isinstance(row.get(name), dict):
                        row[name] = ",".join(f"{form}:{it}" for form, it in row[name].items())
            data = json.dumps(rows)
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise RequestError(400, "The data is not in the specified format.") from None
    return read_rows(data, call.format)


def changed_rights(call: Call, rights: Rights, row: Row, of_whom: str) -> Rights:
    """Rights with those of a row; blank ones stay. Other columns are not for this to read.

    Raises:
        RequestError: A form that does not exist (known of roles), or what is no number (guess).
    """
    known = {form.instrument_name for form in call.project.structure.instruments}
    given: dict[str, Any] = {}
    for column in fields(Rights):
        text = row.get(column.name, "")
        if text == "" or column.name == "data_access_group":
            continue
        if column.name not in _BY_FORM:
            given[column.name] = text
            continue
        pairs = dict(pair.strip().split(":", 1) for pair in text.split(",") if ":" in pair)
        for form in pairs:
            if form not in known:
                raise RequestError(
                    400,
                    f'The form named "{form}" is incorrect for the {of_whom} The form does not '
                    "exist in this project.",
                )
        given[column.name] = {**getattr(rights, column.name), **pairs}
    try:
        return rights.changed(given)
    except ValueError as error:
        raise RequestError(400, str(error)) from None


def least_rights(call: Call) -> Rights:
    """What a new user or role may do of what is not named: nothing, as the API help has it."""
    forms = dict.fromkeys((form.instrument_name for form in call.project.structure.instruments), 0)
    none = 128 if version_of(call.project.structure.version) >= _BIT_RIGHTS_SINCE else 0
    flags = {
        column.name: 0
        for column in fields(Rights)
        if column.name not in (*_BY_FORM, "data_access_group")
    }
    by_form = {"forms": dict.fromkeys(forms, none), "forms_export": forms}
    return Rights.of_row({**flags, **by_form})


def refuse_unknown(rows: Iterable[Row], columns: Iterable[str]) -> None:
    """Refuse columns that are neither rights nor of those named.

    Raises:
        RequestError: There are such (guess).
    """
    known = {*columns, *(column.name for column in fields(Rights))}
    if unknown := sorted({name for row in rows for name in row} - known):
        raise RequestError(400, f"These columns are not known: {', '.join(unknown)}")


# -- users ----------------------------------------------------------------------------------------


def export_users(call: Call) -> Reply:
    """Answer ``content=user``. Names and addresses are blank: there are no people here."""
    require_to_export(call, _RIGHT)
    groups = groups_of(call.store, call.project)
    with_label = version_of(call.project.structure.version) >= _SINCE["data_access_group_label"]
    call.store.connection.execute(_EXPIRATION)
    days = dict(
        call.store.connection.execute(
            "select username, day from expiration where project = ?", (call.project.id,)
        ).fetchall()
    )
    rows = []
    for username, rights in call.store.users(call.project.id).items():
        group = groups.get(rights.data_access_group)
        named: dict[str, str | int] = dict.fromkeys(_PERSON, "")
        named |= {"username": username, "expiration": days.get(username, "")}
        shown = (group.name, group.id, group.label) if group else ("", "", "")
        named |= dict(zip(_GROUP[: 2 + with_label], shown, strict=False))
        rows.append(RightsRow(named, rights))
    log_manage(call, "Export users (API)")
    return rights_reply(call, rows, as_text=False)


def import_users(call: Call) -> Reply:
    """Answer ``action=import``: make users or change them; a user without a group leaves it."""
    require_to_change(call, _RIGHT)
    users = call.store.users(call.project.id)
    rows = read_rights_rows(call)
    refuse_unknown(rows, (*_PERSON, *_GROUP))
    changed: dict[str, Rights] = {}
    for row in rows:
        if not (username := row.get("username", "").strip()):
            raise RequestError(400, "A row has no username")  # guess
        before = changed.get(username) or users.get(username) or least_rights(call)
        rights = changed_rights(call, before, row, f'user "{username}"')
        group = known_group(call, row.get("data_access_group", ""))
        changed[username] = replace(rights, data_access_group=group)
    for username, rights in changed.items():
        call.store.save_user(call.project.id, username, rights)
    days = [
        (call.project.id, row["username"], row["expiration"]) for row in rows if "expiration" in row
    ]
    with call.store.connection as database:
        database.execute(_EXPIRATION)
        database.executemany("insert or replace into expiration values (?, ?, ?)", days)
    log_manage(call, "Import users (API)")  # guess
    return count_reply(call, len(rows))


def delete_users(call: Call) -> Reply:
    """Answer ``action=delete``: their tokens no longer open the project."""
    require_to_change(call, _RIGHT)
    names = call.parameters.known("users", call.store.users(call.project.id))
    for username in names:
        call.store.delete_user(call.project.id, username)
    log_manage(call, "Delete users (API)")  # guess
    return count_reply(call, len(names))


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    ("user", "export"): export_users,
    ("user", "import"): import_users,
    ("user", "delete"): delete_users,
}
