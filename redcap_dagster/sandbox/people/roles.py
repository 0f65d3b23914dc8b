"""User roles: their export and import, and the roles of users."""

import re
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from redcap_dagster.sandbox.calls.call import (
    Call,
    Handler,
    Response,
    respond_with_count,
    respond_with_table,
)
from redcap_dagster.sandbox.calls.log import log_deed, log_management
from redcap_dagster.sandbox.calls.required_rights import require_export_right, require_import_right
from redcap_dagster.sandbox.people.data_access_groups import check_group
from redcap_dagster.sandbox.people.rights_rows import (
    RightsRow,
    apply_rights_row,
    build_minimal_rights,
    read_rights_rows,
    refuse_unknown_columns,
    respond_with_rights,
)
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.import_data import read_rows
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.store.rights import Rights
from redcap_dagster.sandbox.store.store import Store, StoredProject

_RIGHT: Final = "user_rights"
_ROLES: Final = """
create table if not exists role (
    project integer not null references project on delete cascade, name text not null,
    label text not null, rights text not null, primary key (project, name)
)
"""
_MEMBERS: Final = """
create table if not exists member (
    project integer not null, username text not null, role text not null,
    primary key (project, username),
    foreign key (project, username) references user on delete cascade,
    foreign key (project, role) references role on delete cascade
) without rowid
"""


_XML_NAMES: Final = {
    "lock_records": "lock_record",
    "lock_records_all_forms": "lock_record_multiform",
    "lock_records_customization": "lock_record_customize",
    "logging": "data_logging",
    "stats_and_charts": "graphical",
    "manage_survey_participants": "participants",
    "data_quality_create": "data_quality_design",
}
"""Names of rights in a project XML, where they differ."""

_XML_FORM_RIGHTS: Final = {"forms": "data_entry", "forms_export": "data_export_instruments"}
_FORM_RIGHT: Final = re.compile(r"\[(\w+),(\d+)\]")


@dataclass(frozen=True, slots=True)
class Role:
    """A user role, with the rights of its users."""

    label: str
    rights: Rights


def add_project_roles(
    store: Store, project: StoredProject, roles: Iterable[Mapping[str, str]]
) -> None:
    """Add the user roles of a project XML, by its attributes; a right that it lacks is 0."""
    with store.lock, store.connection as database:
        database.execute(_ROLES)
        database.executemany(
            "insert or ignore into role values (?, ?, ?, ?)",
            [
                (
                    project.id,
                    role.get("unique_role_name") or _make_role_name(),
                    role.get("role_name", ""),
                    _read_role_rights(role).to_json(),
                )
                for role in roles
            ],
        )


def _read_role_rights(role: Mapping[str, str]) -> Rights:
    flags = {
        column.name: int(role.get(_XML_NAMES.get(column.name, column.name)) or 0)
        for column in fields(Rights)
        if column.type is int
    }
    by_form = {
        name: {form: int(level) for form, level in _FORM_RIGHT.findall(role.get(attribute, ""))}
        for name, attribute in _XML_FORM_RIGHTS.items()
    }
    return Rights.from_row({**flags, **by_form})


def load_roles(call: Call) -> Mapping[str, Role]:
    """Return the roles of a project by unique name."""
    call.store.connection.execute(_ROLES)
    call.store.connection.execute(_MEMBERS)
    found = call.store.connection.execute(
        "select name, label, rights from role where project = ? order by rowid", (call.project.id,)
    )
    return {name: Role(label, Rights.from_json(rights)) for name, label, rights in found}


def _load_members(call: Call) -> Mapping[str, str]:
    """Return the role of each user who has one."""
    found = call.store.connection.execute(
        "select username, role from member where project = ?", (call.project.id,)
    )
    return dict(found.fetchall())


def _refuse_unknown_roles(call: Call, names: set[str]) -> None:
    if unknown := sorted(names - set(load_roles(call))):
        raise RequestError(400, f"Invalid Unique Role Names: {', '.join(unknown)}")


# -- roles ----------------------------------------------------------------------------------------


def export_roles(call: Call) -> Response:
    """Handle ``content=userRole``, ``action=export``."""
    require_export_right(call, _RIGHT)
    rows = [
        RightsRow({"unique_role_name": name, "role_label": role.label}, role.rights)
        for name, role in load_roles(call).items()
    ]
    log_management(call, "Export user roles (API)")
    return respond_with_rights(call, rows, as_text=True)


def import_roles(call: Call) -> Response:
    """Handle ``action=import``: a blank unique name adds a role; users get their role's rights."""
    require_import_right(call, _RIGHT)
    rows, known = read_rights_rows(call), load_roles(call)
    refuse_unknown_columns(rows, ("unique_role_name", "role_label"))
    _refuse_unknown_roles(call, {row.get("unique_role_name", "") for row in rows} - {""})
    roles: dict[str, Role] = {}
    for row in rows:
        name = row.get("unique_role_name", "") or _make_role_name()
        before = (
            roles.get(name)
            or known.get(name)
            or Role("", build_minimal_rights(call.project.structure))
        )
        label = row.get("role_label", "") or before.label
        if not label:
            raise RequestError(400, "A row has no role_label")  # guess
        roles[name] = Role(label, apply_rights_row(call, before.rights, row, f'user role "{name}"'))
    with call.store.connection as database:
        database.executemany(
            "insert into role values (?, ?, ?, ?) on conflict (project, name)"
            " do update set label = excluded.label, rights = excluded.rights",
            [
                (call.project.id, name, role.label, role.rights.to_json())
                for name, role in roles.items()
            ],
        )
    for username, name in _load_members(call).items():
        if name in roles:
            _apply_role(call, username, roles[name])
    for name in roles:
        log_deed(call.store, call.project, "edit role" if name in known else "add role", name)
    return respond_with_count(call, len(rows))


def delete_roles(call: Call) -> Response:
    """Handle ``action=delete``; that users keep the role's rights is a guess."""
    require_import_right(call, _RIGHT)
    names = set(call.parameters.get_list("roles"))
    _refuse_unknown_roles(call, names)
    with call.store.connection as database:
        database.executemany(
            "delete from role where project = ? and name = ?",
            [(call.project.id, name) for name in names],
        )
    for name in sorted(names):
        log_deed(call.store, call.project, "delete role", name)
    return respond_with_count(call, len(names))


def _make_role_name() -> str:
    """Return a unique name as a server assigns it, such as ``U-527D39JXAC``."""
    letters = string.ascii_uppercase + string.digits
    return "U-" + "".join(secrets.choice(letters) for _ in range(10))


def _apply_role(call: Call, username: str, role: Role) -> None:
    """Give a user the rights of a role, except for the access group and the expiration."""
    own = call.store.list_users(call.project.id)[username]
    rights = replace(
        role.rights, data_access_group=own.data_access_group, expiration=own.expiration
    )
    call.store.save_user(call.project.id, username, rights)


# -- roles of users -------------------------------------------------------------------------------


def export_role_mapping(call: Call) -> Response:
    """Handle ``content=userRoleMapping``: all users, with a blank for no role."""
    require_export_right(call, _RIGHT)
    load_roles(call)
    members = _load_members(call)
    rows = [
        (username, members.get(username, ""), rights.data_access_group)
        for username, rights in call.store.list_users(call.project.id).items()
    ]
    log_management(call, "Export user role assignments (API)")
    return respond_with_table(
        call, Table(("username", "unique_role_name", "data_access_group"), rows)
    )


def import_role_mapping(call: Call) -> Response:
    """Handle ``action=import``: a blank removes the user's role; the user keeps the rights."""
    require_import_right(call, _RIGHT)
    users, roles = call.store.list_users(call.project.id), load_roles(call)
    rows = read_rows(call.parameters.get_text("data"), call.format)
    if any(row.get("username", "") not in users for row in rows):
        raise RequestError(400, "A user is not in this project")  # guess
    _refuse_unknown_roles(call, {row.get("unique_role_name", "") for row in rows} - {""})
    for row in rows:
        check_group(call, row.get("data_access_group", ""))
    for row in rows:
        username, name = row["username"], row.get("unique_role_name", "")
        with call.store.connection as database:
            where = (call.project.id, username)
            database.execute("delete from member where project = ? and username = ?", where)
            if name:
                database.execute("insert into member values (?, ?, ?)", (*where, name))
        if name:
            _apply_role(call, username, roles[name])
        if "data_access_group" in row:
            rights = call.store.list_users(call.project.id)[username]
            rights = replace(rights, data_access_group=row["data_access_group"])
            call.store.save_user(call.project.id, username, rights)
        log_deed(call.store, call.project, "assign role", username)
    return respond_with_count(call, len(rows))


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("userRole", "export"): export_roles,
    ("userRole", "import"): import_roles,
    ("userRole", "delete"): delete_roles,
    ("userRoleMapping", "export"): export_role_mapping,
    ("userRoleMapping", "import"): import_role_mapping,
}
