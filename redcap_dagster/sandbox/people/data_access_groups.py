"""Data access groups: their export and import, their users, and a user's switch of groups."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Final

from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.sandbox.calls.call import (
    Call,
    Handler,
    Response,
    respond_with_count,
    respond_with_table,
    respond_with_text,
)
from redcap_dagster.sandbox.calls.log import log_management
from redcap_dagster.sandbox.calls.required_rights import require_export_right, require_import_right
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.import_data import read_rows
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.protocol.version import parse_version
from redcap_dagster.sandbox.store.store import Store, StoredProject

_TABLE: Final = """
create table if not exists data_access_group (
    id integer primary key, project integer not null references project on delete cascade,
    name text not null, label text not null, unique (project, name)
)
"""
# A project that was added with records has groups of which only the names are known.
_INSERT_ASSIGNED_GROUPS: Final = """
insert or ignore into data_access_group (project, name, label)
select distinct project, name, name from access_group where project = ? order by name
"""
_ID_SINCE: Final = (13, 1, 0)
_LONGEST_NAME: Final = 18
_RIGHT: Final = "data_access_groups"


@dataclass(frozen=True, slots=True)
class Group:
    """A data access group."""

    id: int
    name: str
    label: str


def load_groups(store: Store, project: StoredProject) -> Mapping[str, Group]:
    """Return the groups of a project by unique name."""
    with store.lock, store.connection as database:
        database.execute(_TABLE)
        database.execute(_INSERT_ASSIGNED_GROUPS, (project.id,))
        found = database.execute(
            "select id, name, label from data_access_group where project = ? order by id",
            (project.id,),
        )
        return {name: Group(number, name, label) for number, name, label in found}


def check_group(call: Call, name: str) -> str:
    """Return the name of a group, or a blank for no group.

    Raises:
        RequestError: The project does not have this group (the text is a guess).
    """
    if name and name not in load_groups(call.store, call.project):
        raise RequestError(400, "The data access group does not exist in this project")
    return name


# -- groups ---------------------------------------------------------------------------------------


def export_groups(call: Call) -> Response:
    """Handle ``content=dag``, ``action=export``."""
    require_export_right(call, _RIGHT)
    with_id = parse_version(call.project.structure.version) >= _ID_SINCE
    columns = ("data_access_group_name", "unique_group_name", "data_access_group_id")
    groups = load_groups(call.store, call.project).values()
    rows: list[tuple[str | int, ...]] = [(group.label, group.name, group.id) for group in groups]
    log_management(call, "Export DAGs (API)")
    if not with_id:
        return respond_with_table(call, Table(columns[:2], [row[:2] for row in rows]))
    return respond_with_table(call, Table(columns, rows))


def import_groups(call: Call) -> Response:
    """Handle ``action=import``: a blank unique name adds a group, another renames its group."""
    require_import_right(call, _RIGHT)
    groups = dict(load_groups(call.store, call.project))
    rows = read_rows(call.parameters.get_text("data"), call.format)
    labels: dict[str, str] = {}
    for row in rows:
        label, name = row.get("data_access_group_name", ""), row.get("unique_group_name", "")
        if not label or (name and name not in groups):
            # Guess.
            raise RequestError(400, "A group has no name, or a unique name that does not exist")
        labels[name or _make_unique_name(label, {*groups, *labels})] = label
    with call.store.connection as database:
        database.executemany(
            "insert into data_access_group (project, name, label) values (?, ?, ?)"
            " on conflict (project, name) do update set label = excluded.label",
            [(call.project.id, name, label) for name, label in labels.items()],
        )
    _update_access_group_flag(call)
    log_management(call, "Import DAGs (API)")  # guess
    return respond_with_count(call, len(rows))


def delete_groups(call: Call) -> Response:
    """Handle ``action=delete``; that a group with records is not deleted is a guess."""
    require_import_right(call, _RIGHT)
    names = call.parameters.get_known_names("dags", load_groups(call.store, call.project))
    if names & set(call.store.list_access_groups(call.project).values()):
        raise RequestError(400, "A data access group that has records cannot be deleted")
    with call.store.connection as database:
        database.executemany(
            "delete from data_access_group where project = ? and name = ?",
            [(call.project.id, name) for name in names],
        )
    for username, rights in call.store.list_users(call.project.id).items():
        if rights.data_access_group in names:
            remaining = replace(rights, data_access_group="")
            call.store.save_user(call.project.id, username, remaining)
    _update_access_group_flag(call)
    log_management(call, "Delete DAGs (API)")  # guess
    return respond_with_count(call, len(names))


def switch_group(call: Call) -> Response:
    """Handle ``action=switch``: a blank leaves the group; that any group is allowed is a guess."""
    group = check_group(call, call.parameters.get_text("dag"))
    rights = replace(call.project.rights, data_access_group=group)
    call.store.save_user(call.project.id, call.project.username, rights)
    log_management(call, "Switch DAG (API)")  # guess
    return respond_with_text("1", call.format)


def _make_unique_name(label: str, taken: set[str]) -> str:
    """Return a unique name made of a label; its length and the letter at its end are guesses.

    Example:
        >>> _make_unique_name("dag-a", set()), _make_unique_name("Site One", {"site_one"})
        ('daga', 'site_oneb')
    """
    name: str = re.sub(r"[^a-z0-9_]", "", label.lower().replace(" ", "_"))[:_LONGEST_NAME] or "dag"
    for candidate in (name, *(name + letter for letter in ascii_lowercase[1:])):
        if candidate not in taken:
            return candidate
    raise RequestError(400, "Too many data access groups have the same name")


def _update_access_group_flag(call: Call) -> None:
    has_groups = bool(load_groups(call.store, call.project))
    structure = replace(call.project.structure, has_access_groups=has_groups)
    call.store.replace_structure(call.project.id, structure)


# -- groups of users ------------------------------------------------------------------------------


def export_group_mapping(call: Call) -> Response:
    """Handle ``content=userDagMapping``: all users, with a blank for no group."""
    require_export_right(call, _RIGHT)
    users = call.store.list_users(call.project.id)
    rows = [(username, rights.data_access_group) for username, rights in users.items()]
    log_management(call, "Export User-DAG assignments (API)")
    return respond_with_table(call, Table(("username", ACCESS_GROUP), rows))


def import_group_mapping(call: Call) -> Response:
    """Handle ``content=userDagMapping``, ``action=import``."""
    require_import_right(call, _RIGHT)
    users = call.store.list_users(call.project.id)
    rows = read_rows(call.parameters.get_text("data"), call.format)
    given = {}
    for row in rows:
        if (username := row.get("username", "")) not in users:
            raise RequestError(400, "A user is not in this project")  # guess
        given[username] = check_group(call, row.get(ACCESS_GROUP, ""))
    for username, group in given.items():
        rights = replace(users[username], data_access_group=group)
        call.store.save_user(call.project.id, username, rights)
    log_management(call, "Import User-DAG assignments (API)")  # guess
    return respond_with_count(call, len(rows))


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("dag", "export"): export_groups,
    ("dag", "import"): import_groups,
    ("dag", "delete"): delete_groups,
    ("dag", "switch"): switch_group,
    ("userDagMapping", "export"): export_group_mapping,
    ("userDagMapping", "import"): import_group_mapping,
}
