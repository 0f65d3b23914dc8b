"""The users of a project: their export, import and deletion."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_count
from redcap_dagster.sandbox.calls.log import Deed, log_deed, log_management
from redcap_dagster.sandbox.calls.required_rights import require_export_right, require_import_right
from redcap_dagster.sandbox.people.data_access_groups import check_group, load_groups
from redcap_dagster.sandbox.people.rights_rows import (
    RightsRow,
    apply_rights_row,
    build_minimal_rights,
    read_rights_rows,
    refuse_unknown_columns,
    respond_with_rights,
)
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.protocol.version import parse_version
from redcap_dagster.sandbox.store.rights import Rights

_RIGHT: Final = "user_rights"
_GROUP_LABEL_SINCE: Final = (16, 0, 0)
_PERSON: Final = ("username", "email", "firstname", "lastname", "expiration")
_GROUP: Final = ("data_access_group", "data_access_group_id", "data_access_group_label")


def export_users(call: Call) -> Response:
    """Handle ``content=user``, ``action=export``; names and email addresses are blank."""
    require_export_right(call, _RIGHT)
    groups = load_groups(call.store, call.project)
    with_label = parse_version(call.project.structure.version) >= _GROUP_LABEL_SINCE
    rows = []
    for username, rights in call.store.list_users(call.project.id).items():
        group = groups.get(rights.data_access_group)
        named: dict[str, str | int] = dict.fromkeys(_PERSON, "")
        named |= {"username": username, "expiration": rights.expiration}
        shown = (group.name, group.id, group.label) if group else ("", "", "")
        named |= dict(zip(_GROUP[: 2 + with_label], shown, strict=False))
        rows.append(RightsRow(named, rights))
    log_management(call, "Export users (API)")
    return respond_with_rights(call, rows, as_text=False)


def import_users(call: Call) -> Response:
    """Handle ``action=import``: add or change users; a blank group removes the user's group."""
    require_import_right(call, _RIGHT)
    users = call.store.list_users(call.project.id)
    rows = read_rights_rows(call)
    refuse_unknown_columns(rows, (*_PERSON, *_GROUP))
    changed: dict[str, Rights] = {}
    for row in rows:
        if not (username := row.get("username", "").strip()):
            raise RequestError(400, "A row has no username")  # guess
        before = (
            changed.get(username)
            or users.get(username)
            or build_minimal_rights(call.project.structure)
        )
        rights = apply_rights_row(call, before, row, f'user "{username}"')
        group = check_group(call, row.get("data_access_group", ""))
        expiration = row.get("expiration", rights.expiration)
        changed[username] = replace(rights, data_access_group=group, expiration=expiration)
    for username, rights in changed.items():
        call.store.save_user(call.project.id, username, rights)
        deed: Deed = "edit user" if username in users else "add user"
        log_deed(call.store, call.project, deed, username)
    return respond_with_count(call, len(rows))


def delete_users(call: Call) -> Response:
    """Handle ``action=delete``: the tokens of deleted users are no longer valid."""
    require_import_right(call, _RIGHT)
    names = call.parameters.get_known_names("users", call.store.list_users(call.project.id))
    for username in names:
        call.store.delete_user(call.project.id, username)
        log_deed(call.store, call.project, "delete user", username)
    return respond_with_count(call, len(names))


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("user", "export"): export_users,
    ("user", "import"): import_users,
    ("user", "delete"): delete_users,
}
