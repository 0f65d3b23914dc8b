"""The API of a project for its user: create the token, show it, replace it, delete it."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from redcap_dagster.sandbox.calls.log import write_log
from redcap_dagster.sandbox.pages.visit import API, Page, PageError, Visit, build_path
from redcap_dagster.sandbox.store.store import StoredProject

# Guesses.
_LOGGED: Final = {
    "create": "Create API token",
    "regenerate": "Regenerate API token",
    "delete": "Delete API token",
}


def show_access(visit: Visit) -> Response:
    """Show how to reach the API; not the token."""
    return _show(visit, open_with_api(visit))


def change_access(visit: Visit) -> Response:
    """Show the token, create it, replace it, or delete it; an old one is refused from then on."""
    project, action = open_with_api(visit), visit.form.get_text("action")
    token = visit.store.find_token(project.id, project.username)
    if action not in ("show", *_LOGGED):
        raise PageError(400, "This page does not know what to do with the token.")
    if bool(token) == (action == "create"):
        raise PageError(409, "The token was changed meanwhile. Open the page again.")
    if action == "show":
        return _show(visit, project, token)
    if action != "create":
        visit.store.delete_token(project.id, project.username)
    if action != "delete":
        visit.store.get_token(project.id, project.username)
    say = visit.store.dialect.say
    write_log(visit.store, project, "manage", say("Manage/Design "), say(_LOGGED[action]))
    return visit.redirect(build_path(project, API, done=action))


PAGES: Final[Mapping[tuple[str, str], Page]] = {
    ("GET", API): show_access,
    ("POST", API): change_access,
}


def open_with_api(visit: Visit) -> StoredProject:
    """Return the project that the address names, if the visitor has a right to its API.

    Raises:
        PageError: There is no such project, or the visitor has no right to its API.
        RequestError: The visitor has no access to it any more, as by the API.
    """
    project = visit.open_project()
    if not (project.rights.api_export or project.rights.api_import):
        raise PageError(
            403,
            "You do not have a right to the API of this project. Give yourself API export or "
            "import on its page User rights.",
        )
    return project


def _show(visit: Visit, project: StoredProject, token: str = "") -> Response:
    return visit.show(
        "api_access.html",
        project=project,
        here=API,
        api_url=f"{visit.store.url}api/",
        has_token=bool(visit.store.find_token(project.id, project.username)),
        token=token,
        done=visit.query.get("done", ""),
    )
