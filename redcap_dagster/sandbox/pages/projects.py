"""The first page: the projects of the sandbox, and New Project."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from redcap_dagster.sandbox.design.project_creation import add_new_project
from redcap_dagster.sandbox.pages.visit import Page, PageError, Visit, build_path
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.selection import filter_visible_rows
from redcap_dagster.sandbox.store.rights import Rights
from redcap_dagster.sandbox.store.store import FIRST_USER, StoredProject

_PURPOSES: Final = {
    "0": "Practice / Just for fun",
    "1": "Other",
    "2": "Research",
    "3": "Quality Improvement",
    "4": "Operational Support",
}
# As in REDCap, who creates a project gives these rights to oneself on the page for user rights.
_CREATOR: Final = Rights(api_export=0, api_import=0, api_modules=0)


@dataclass(frozen=True, slots=True)
class ListedProject:
    """A project as the list shows it.

    Attributes:
        project: Project.
        records: Number of the records that the visitor sees; None without access to the project.
    """

    project: StoredProject
    records: int | None


def list_projects(visit: Visit) -> Response:
    """Show the projects of this sandbox."""
    listed = []
    for project in visit.store.list_projects(FIRST_USER):
        try:
            visit.require_access(project)
        except RequestError:
            listed.append(ListedProject(project, None))
        else:
            listed.append(ListedProject(project, count_records(visit, project)))
    return visit.show("projects.html", listed=listed, api_url=f"{visit.store.url}api/")


def count_records(visit: Visit, project: StoredProject) -> int:
    """Return the number of the records that the visitor sees."""
    rows = visit.store.find_rows(project, (), ())
    visible = filter_visible_rows(visit.make_call(project), rows)
    return len({row_key.record for _, row_key in visible})


def ask_for_project(visit: Visit) -> Response:
    """Show the form of a new project."""
    return _show_form(visit)


def create_project(visit: Visit) -> Response:
    """Create a project, and lead to it; show the form again if that is not possible."""
    row = {
        name: text
        for name in ("project_title", "purpose", "purpose_other", "project_notes")
        if (text := visit.form.get_text(name).strip())
    }
    try:
        if "project_title" not in row:
            raise PageError(400, "The project needs a title.")
        if row.get("purpose") not in _PURPOSES:
            raise PageError(400, "Choose the purpose of the project.")
        if row["purpose"] == "1" and "purpose_other" not in row:
            raise PageError(400, "The purpose Other needs a description.")
        file = visit.files.get("xml")
        if file is not None and file.name and not file.content:
            raise PageError(400, "The file is empty. Choose a project XML file of REDCap.")
        token = add_new_project(visit.store, row, file.content if file else b"", _CREATOR)
    except (PageError, RequestError) as refused:
        return _show_form(visit, refused.status, refused.message)
    project = visit.store.find_project(token)
    assert project is not None  # noqa: S101
    visit.store.delete_token(project.id, project.username)
    return visit.redirect(build_path(project, created=1))


def _show_form(visit: Visit, status: int = 200, error: str = "") -> Response:
    return visit.show(
        "new_project.html", status, error=error, entered=visit.form, purposes=_PURPOSES
    )


PAGES: Final[Mapping[tuple[str, str], Page]] = {
    ("GET", "/"): list_projects,
    ("GET", "/new-project"): ask_for_project,
    ("POST", "/new-project"): create_project,
}
