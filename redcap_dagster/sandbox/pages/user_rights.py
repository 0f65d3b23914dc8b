"""User rights: who may export and import by the API, which values, and of which records."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.responses import Response

from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox.calls.log import log_deed
from redcap_dagster.sandbox.pages.visit import USER_RIGHTS, Page, PageError, Visit, build_path
from redcap_dagster.sandbox.people.data_access_groups import load_groups
from redcap_dagster.sandbox.people.rights_rows import (
    FormRight,
    build_minimal_rights,
    list_form_rights,
)
from redcap_dagster.sandbox.store.rights import (
    DEIDENTIFIED,
    FULL,
    NO_ACCESS,
    REMOVE_IDENTIFIERS,
    Rights,
)
from redcap_dagster.sandbox.store.store import StoredProject

_EXPORT_LEVELS: Final[Mapping[int, str]] = {
    NO_ACCESS: "No access",
    DEIDENTIFIED: "De-identified",
    REMOVE_IDENTIFIERS: "Remove identifiers",
    FULL: "Full",
}
_FORM_RIGHTS: Final[Mapping[FormRight, str]] = {
    "none": "No access",
    "read": "Read only",
    "edit": "View and edit",
}
_USERNAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,255}")


@dataclass(frozen=True, slots=True)
class ListedUser:
    """A user as the list shows it; the texts say which values the user can export and see."""

    name: str
    rights: Rights
    exports: str
    forms: str


def show_users(visit: Visit) -> Response:
    """Show the users of a project, or the rights of the one that the address names."""
    project = _open_project(visit)
    if "user" in visit.query:
        return _show_user(visit, project, visit.query["user"])
    return _show_list(visit, project)


def change_users(visit: Visit) -> Response:
    """Add a user without rights, or save the rights of one; the API applies them at once."""
    project = _open_project(visit)
    username = visit.form.get_text("username").strip()
    if visit.form.get_text("action") == "add":
        return _add_user(visit, project, username)
    try:
        rights = _read_rights(visit, project, _get_user(visit, project, username))
    except ValueError as error:
        return _show_user(visit, project, username, str(error))
    visit.store.save_user(project.id, username, rights)
    log_deed(visit.store, project, "edit user", username)
    return visit.redirect(build_path(project, USER_RIGHTS, saved=1))


PAGES: Final[Mapping[tuple[str, str], Page]] = {
    ("GET", USER_RIGHTS): show_users,
    ("POST", USER_RIGHTS): change_users,
}


def _open_project(visit: Visit) -> StoredProject:
    project = visit.open_project()
    if not project.rights.user_rights:
        raise PageError(
            403, "You do not have the right to see or change the rights of users (User Rights)."
        )
    return project


def _get_user(visit: Visit, project: StoredProject, username: str) -> Rights:
    rights = visit.store.list_users(project.id).get(username)
    if rights is None:
        raise PageError(404, "The project does not have this user.")
    return rights


# -- the list -------------------------------------------------------------------------------------


def _show_list(visit: Visit, project: StoredProject, error: str = "") -> Response:
    forms = [form.instrument_name for form in project.structure.instruments]
    users = [
        ListedUser(
            name,
            rights,
            _summarize({_name_level(rights.get_export_level(form)) for form in forms}),
            _summarize({_FORM_RIGHTS[get_form_right(rights, form)] for form in forms}),
        )
        for name, rights in visit.store.list_users(project.id).items()
    ]
    return visit.show(
        "user_rights.html",
        400 if error else 200,
        project=project,
        here=USER_RIGHTS,
        users=users,
        error=error,
        saved="saved" in visit.query,
        entered=visit.form.get_text("username"),
    )


def _summarize(texts: set[str]) -> str:
    return next(iter(texts)) if len(texts) == 1 else "Differs by instrument"


def _name_level(level: int) -> str:
    return _EXPORT_LEVELS.get(level, f"Level {level}")


def _add_user(visit: Visit, project: StoredProject, username: str) -> Response:
    if not _USERNAME.fullmatch(username):
        return _show_list(
            visit,
            project,
            "A username has letters without accents, digits, and the characters . - _ @; "
            "at most 255 of them.",
        )
    if username in visit.store.list_users(project.id):
        return _show_list(visit, project, "The project has this user already.")
    visit.store.save_user(project.id, username, build_minimal_rights(project.structure))
    log_deed(visit.store, project, "add user", username)
    return visit.redirect(build_path(project, USER_RIGHTS, user=username, added=1))


# -- one user -------------------------------------------------------------------------------------


def get_form_right(rights: Rights, form: str) -> FormRight:
    """Return the right of a user to an instrument, by old or new codes."""
    return "edit" if rights.may_edit(form) else "read" if rights.may_view(form) else "none"


def _show_user(visit: Visit, project: StoredProject, username: str, error: str = "") -> Response:
    rights = _get_user(visit, project, username)
    return visit.show(
        "user.html",
        400 if error else 200,
        project=project,
        here=USER_RIGHTS,
        user=username,
        rights=rights,
        groups=load_groups(visit.store, project).values(),
        export_levels=_EXPORT_LEVELS,
        form_rights=_FORM_RIGHTS,
        get_form_right=get_form_right,
        error=error,
        added="added" in visit.query,
    )


def _read_rights(visit: Visit, project: StoredProject, before: Rights) -> Rights:
    """Return the rights of a form that was sent; what it does not have stays as it was.

    Raises:
        ValueError: A value is not one that the form offers.
    """
    form = visit.form
    group = form.get_text("data_access_group")
    if group and group not in load_groups(visit.store, project):
        raise ValueError("The project does not have this access group. Choose one of the list.")
    levels = {
        name: _read_level(before, name, form.get_text(f"export:{name}"), form.get_text("export"))
        for name in _list_forms(project.structure)
    }
    codes = list_form_rights(project.structure.version)
    rights = {
        name: _read_code(before, name, form.get_text(f"view:{name}"), form.get_text("view"), codes)
        for name in _list_forms(project.structure)
    }
    return replace(
        before,
        api_export=int(form.get_text("api_export") == "1"),
        api_import=int(form.get_text("api_import") == "1"),
        data_access_group=group,
        forms={**before.forms, **rights},
        forms_export={**before.forms_export, **levels},
    )


def _list_forms(structure: REDCapProject) -> list[str]:
    return [form.instrument_name for form in structure.instruments]


def _read_level(before: Rights, form: str, own: str, common: str) -> int:
    level = before.get_export_level(form)
    known = {str(code): code for code in (*_EXPORT_LEVELS, level)}
    given = common or own or str(level)
    if given not in known:
        raise ValueError("There is no such data export right. Choose one of the list.")
    return known[given]


def _read_code(
    before: Rights, form: str, own: str, common: str, codes: Mapping[FormRight, int]
) -> int:
    """Return the code of a right; one that was not changed keeps its code."""
    right = get_form_right(before, form)
    given = common or own or right
    for name, code in codes.items():
        if name == given:
            return before.forms.get(form, code) if name == right else code
    raise ValueError("There is no such right to an instrument. Choose one of the list.")
