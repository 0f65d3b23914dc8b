"""A visit of a page: what the browser sent, and how a page responds to it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from redcap_dagster.project import build_page_url
from redcap_dagster.sandbox.calls.call import Call, Upload
from redcap_dagster.sandbox.calls.project_status import refuse_by_status
from redcap_dagster.sandbox.http.app import HandledRequest
from redcap_dagster.sandbox.http.handlers import refuse_expired_rights
from redcap_dagster.sandbox.pages.session import Session
from redcap_dagster.sandbox.protocol.parameters import Parameters
from redcap_dagster.sandbox.store.store import FIRST_USER, Store, StoredProject

HOME: Final = "index.php"
ENTRY: Final = "DataEntry/index.php"
USER_RIGHTS: Final = "UserRights/index.php"
API: Final = "API/project_api.php"
PLAYGROUND: Final = "API/playground.php"


_PROJECT_ID: Final = re.compile("[0-9]{1,9}")


class PageError(Exception):
    """A page that cannot be shown, with its HTTP status and a sentence for the reader."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit of the user `FIRST_USER`; the store's lock is held until the page is made.

    Attributes:
        store: Store of the projects.
        session: Session of the visitor.
        on_handled: Called with each request that a page sends to the API.
        query: Parameters of the address.
        form: Parameters of the form that was sent. Defaults to none.
        files: Files of the form by the name of their input. Defaults to none.
    """

    store: Store = field(repr=False)
    session: Session = field(repr=False)
    on_handled: Callable[[HandledRequest], None] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    form: Parameters = field(default=Parameters({}, {}), repr=False)
    files: Mapping[str, Upload] = field(default_factory=dict, repr=False)

    def open_project(self) -> StoredProject:
        """Return the project whose id the address names, with the rights of the visitor.

        Raises:
            PageError: There is no such project.
            RequestError: The visitor has no access to it any more, as by the API.
        """
        pid = self.query.get("pid", "")
        number = int(pid) if _PROJECT_ID.fullmatch(pid) else 0
        found = self.store.list_projects(FIRST_USER, number)
        if not found:
            raise PageError(
                404,
                f"This sandbox does not have a project with this id of which {FIRST_USER} is a "
                "user. It may have been deleted with an earlier sandbox.",
            )
        if len(found) > 1:
            raise PageError(
                409,
                f"{len(found)} projects of this sandbox were added with this id, so that it does "
                "not say which one to open. Add them without project_id, or with different ones.",
            )
        self.require_access(found[0])
        return found[0]

    def require_access(self, project: StoredProject) -> None:
        """Refuse a project to which the visitor has no access any more.

        Raises:
            RequestError: The API would refuse all exports.
        """
        refuse_expired_rights(self.store, project.rights)
        refuse_by_status(self.make_call(project), "export")

    def make_call(self, project: StoredProject, **parameters: str) -> Call:
        """Return the call by which the visitor would request the same of the API."""
        return Call(self.store, project, Parameters.from_pairs(parameters.items()))

    def show(self, template: str, status: int = 200, **context: Any) -> Response:
        """Return a page.

        Args:
            template: File name of its template.
            status: HTTP status. Defaults to 200.
            context: Values of the template. A page of a project has ``project``.
        """
        return render(template, status, csrf=self.session.csrf, **context)

    def redirect(self, path: str) -> Response:
        """Return a redirect to a page, as after a change."""
        return RedirectResponse(path, 303)


Page = Callable[[Visit], Response]
"""Responds to a visit of a page."""


def render(template: str, http_status: int = 200, **context: Any) -> Response:
    """Return a page that may have no visitor yet."""
    text = _TEMPLATES.get_template(template).render(context)
    return HTMLResponse(text.encode(errors="replace"), http_status)


def build_path(project: StoredProject, page: str = HOME, **query: object) -> str:
    """Return the path of a page of a project, as the links of assets have it."""
    path = build_page_url("/", project.structure, page) or "/"
    return f"{path}&{urlencode(query)}" if query else path


_TEMPLATES: Final = Environment(
    loader=PackageLoader("redcap_dagster.sandbox.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals |= {
    "username": FIRST_USER,
    "build_path": build_path,
    "HOME": HOME,
    "ENTRY": ENTRY,
    "USER_RIGHTS": USER_RIGHTS,
    "API": API,
    "PLAYGROUND": PLAYGROUND,
}
