"""The application of the pages: who may open them, which function makes each, and their errors."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from redcap_dagster.sandbox.http.app import HandledRequest, locate_defect
from redcap_dagster.sandbox.http.form import read_form
from redcap_dagster.sandbox.pages import (
    api_access,
    playground,
    project,
    projects,
    record_form,
    user_rights,
)
from redcap_dagster.sandbox.pages.session import (
    Session,
    enter,
    has_own_host,
    is_local_connection,
    remember_wanted,
)
from redcap_dagster.sandbox.pages.visit import Page, PageError, Visit, render
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.store.store import Store, StoredProject

logger = logging.getLogger("redcap_dagster.sandbox")

PAGES: Final[Mapping[tuple[str, str], Page]] = {
    **projects.PAGES,
    **project.PAGES,
    **record_form.PAGES,
    **user_rights.PAGES,
    **api_access.PAGES,
    **playground.PAGES,
}
"""The function that responds to each method and path."""

_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Without a referrer, browsers would not say where a form comes from.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def create_pages(
    store: Store, session: Session, share: bool, on_handled: Callable[[HandledRequest], None]
) -> Starlette:
    """Return the application of the pages.

    Args:
        store: Projects that the pages show.
        session: Session that may open them.
        share: Whether they can be opened at addresses that others reach.
        on_handled: Called with each request that a page sends to the API.
    """

    async def respond(page: str, request: Request) -> Response:
        try:
            response = await admit(page, request)
        except (PageError, RequestError) as refused:
            response = _show_error(refused.status, refused.message)
        except Exception as error:  # noqa: BLE001
            where = locate_defect(error)
            logger.error("a page of the sandbox failed: %s", where)
            response = _show_error(500, f"The sandbox failed: {where}")
        response.headers.update(_HEADERS)
        logger.info("page=%s status=%d", page, response.status_code)
        return response

    async def admit(page: str, request: Request) -> Response:
        if not (share or is_local_connection(request)):
            raise PageError(
                403,
                "The pages of this sandbox are only for its own machine: others on the network "
                "reach this address. To share them, start it with share_pages=True, or "
                "redcap-sandbox serve with --share-pages.",
            )
        if not has_own_host(request, store.url):
            raise PageError(
                403,
                "The pages of this sandbox do not have this host name. Open the URL that the "
                "sandbox printed, or one with the IP address of its machine.",
            )
        if request.method == "GET" and session.is_key(request.query_params.get("key", "")):
            return enter(session, request)
        if not session.has_cookie(request):
            locked = render("locked.html", 403)
            if request.method == "GET":
                remember_wanted(request, locked)
            return locked
        method = "GET" if request.method == "HEAD" else request.method
        visit = Visit(store, session, on_handled, dict(request.query_params))
        if request.method == "POST":
            form, files = await read_form(request)
            if not session.is_own_form(request, form.get_text("csrf")):
                raise PageError(
                    403,
                    "This form was not sent by a page of this sandbox, or the sandbox was "
                    "restarted meanwhile. Go back, reload the page, and send it again.",
                )
            visit = replace(visit, form=form, files=files)
        return await run_in_threadpool(_make_page, PAGES[method, page], visit)

    return Starlette(
        routes=[
            Mount("/static", StaticFiles(directory=Path(__file__).with_name("static"))),
            *(
                Route(path, partial(respond, page), methods=methods)
                for page, methods in _list_methods().items()
                for path in _list_paths(page)
            ),
        ],
        exception_handlers={HTTPException: _show_http_error},
    )


def _make_page(page: Page, visit: Visit) -> Response:
    with visit.store.lock:
        try:
            return page(visit)
        except (PageError, RequestError) as refused:
            return _show_error(refused.status, refused.message, _find_project(visit))


def _find_project(visit: Visit) -> StoredProject | None:
    """Return the project whose menu the page of an error has; None if it cannot be opened."""
    try:
        return visit.open_project()
    except (PageError, RequestError):
        return None


def _list_methods() -> Mapping[str, list[str]]:
    methods: dict[str, list[str]] = {}
    for method, page in PAGES:
        methods.setdefault(page, []).append(method)
    return methods


def _list_paths(page: str) -> tuple[str, ...]:
    """Return the paths of a page: those of a project come with REDCap's version, or without."""
    return (page,) if page.startswith("/") else (f"/redcap_v{{version}}/{page}", f"/{page}")


def _show_error(status: int, message: str, project: StoredProject | None = None) -> Response:
    return render("error.html", status, status=status, message=message, project=project, here="")


async def _show_http_error(_: Request, error: Exception) -> Response:
    """Return the page for a path or a method that the sandbox does not have."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    response = _show_error(
        status,
        "This sandbox does not have this page."
        if status == 404
        else "This page cannot be opened in this way.",
    )
    response.headers.update(_HEADERS)
    return response
