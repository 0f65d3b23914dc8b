"""The API Playground: choose a method and its parameters, send the request, copy the code."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from redcap_dagster.api.snippets import (
    LANGUAGES,
    METHODS,
    Method,
    Value,
    find_method,
    snippet,
    write_request,
)
from redcap_dagster.sandbox.calls.call import Upload
from redcap_dagster.sandbox.http.app import record_request, respond_to_request
from redcap_dagster.sandbox.pages.api_access import open_with_api
from redcap_dagster.sandbox.pages.parameter_menus import list_inputs
from redcap_dagster.sandbox.pages.visit import PLAYGROUND, Page, PageError, Visit
from redcap_dagster.sandbox.protocol.parameters import Parameters
from redcap_dagster.sandbox.store.store import StoredProject

_FIRST_METHOD: Final = "Export Records"
_LONGEST_TEXT: Final = 200_000
_GROUPS: Final = {
    "export": "Exports",
    "list": "Exports",
    "import": "Imports",
    "createFolder": "Imports",
    "delete": "Deletions",
}
_ENDINGS: Final = {"text/csv": "csv", "application/json": "json", "text/xml": "xml"}


@dataclass(frozen=True, slots=True)
class APIResponse:
    """The response of the API to a request of the page.

    Attributes:
        status: HTTP status.
        content_type: Content type.
        body: Body.
        milliseconds: How long it took.
    """

    status: int
    content_type: str
    body: bytes = field(repr=False)
    milliseconds: int

    @property
    def status_text(self) -> str:
        """HTTP status with its name, such as ``200 OK``."""
        names = {known.value: known.phrase for known in HTTPStatus}
        return f"{self.status} {names.get(self.status, '')}".strip()

    @property
    def is_text(self) -> bool:
        """Whether the page can show the body."""
        kind = self.content_type.partition(";")[0].strip()
        return (kind.startswith("text/") or kind in _ENDINGS) and b"\0" not in self.body

    @property
    def text(self) -> str:
        """Beginning of the body as text; a byte that is not UTF-8 is shown as ``\ufffd``."""
        return self.body[: 4 * _LONGEST_TEXT].decode(errors="replace")[:_LONGEST_TEXT]

    @property
    def is_cut(self) -> bool:
        """Whether `text` is not the whole body."""
        return len(self.body.decode(errors="replace")) > _LONGEST_TEXT

    @property
    def lines(self) -> int:
        """Number of lines."""
        return len(self.body.splitlines())


def show_playground(visit: Visit) -> Response:
    """Show a method that the address names, with its defaults."""
    project, method = open_with_api(visit), _find_method(visit)
    return _show(visit, project, method, {})


def use_playground(visit: Visit) -> Response:
    """Show the request and the code for the chosen parameters; send the request if asked to."""
    project, method = open_with_api(visit), _find_method(visit)
    action, values = visit.form.get_text("action"), _read_values(visit, method)
    if action not in ("show", "execute") and not (action == "save" and _only_reads(method)):
        raise PageError(400, "This page does not know what to do with the request.")
    if action == "show":
        return _show(visit, project, method, values)
    try:
        request = write_request(method, values)
    except (TypeError, ValueError):
        return _show(visit, project, method, values)  # which says why
    response = _execute(visit, project, method, request)
    # The request may have changed the project, or the rights of the visitor.
    listed = {each.id: each for each in visit.store.list_projects(project.username)}
    project = listed.get(project.id, project)
    if action == "save" and response.status == 200:
        return _save(method, response)
    return _show(visit, project, method, values, response)


PAGES: Final[Mapping[tuple[str, str], Page]] = {
    ("GET", PLAYGROUND): show_playground,
    ("POST", PLAYGROUND): use_playground,
}


# -- what was chosen ------------------------------------------------------------------------------


def _find_method(visit: Visit) -> Method:
    try:
        return find_method(visit.query.get("method", _FIRST_METHOD))
    except KeyError:
        raise PageError(
            404, "The API does not have the method that the address names. Choose one of the list."
        ) from None


def _read_values(visit: Visit, method: Method) -> dict[str, Value]:
    """Return the values of the form that was sent. A choice that is the default is left out."""
    values: dict[str, Value] = {}
    for parameter in method.parameters:
        # Browsers send each newline as two characters.
        text = visit.form.get_text(parameter.name).replace("\r\n", "\n")
        match parameter.kind:
            case "flag":
                values[parameter.name] = bool(text)
            case "names":
                typed = [line.strip() for line in text.split("\n")]
                chosen = typed if text else visit.form.get_list(parameter.name)
                values[parameter.name] = tuple(name for name in chosen if name)
            case "file":
                values[parameter.name] = (
                    _list_uploads(visit, method).get(parameter.name, _NO_UPLOAD).name
                )
            case "choice" if text == parameter.default:
                pass
            case _:
                values[parameter.name] = text
    return values


_NO_UPLOAD: Final = Upload("", "", b"")


def _list_uploads(visit: Visit, method: Method) -> Mapping[str, Upload]:
    """Return the files that were sent; one without a name if none was chosen."""
    names = [parameter.name for parameter in method.parameters if parameter.kind == "file"]
    return {name: file for name, file in visit.files.items() if name in names}


# -- the request ----------------------------------------------------------------------------------


def _execute(
    visit: Visit, project: StoredProject, method: Method, request: Mapping[str, str]
) -> APIResponse:
    """Return the response to a request, which is handled and logged as any other with the token.

    Raises:
        PageError: The visitor does not have a token.
    """
    token = visit.store.find_token(project.id, project.username)
    if not token:
        raise PageError(
            409,
            "You do not have a token for this project. Generate one on its page API, then execute "
            "the request.",
        )
    pairs = [("token", token), *request.items()][: visit.store.dialect.max_parameters]
    parameters = Parameters.from_pairs(pairs)
    began = time.perf_counter()
    status, response = respond_to_request(visit.store, parameters, _list_uploads(visit, method))
    milliseconds = record_request(parameters, status, began, visit.on_handled)
    # Headers are Latin-1, in which REDCap sends the UTF-8 of a file's name.
    content_type = response.content_type.encode("latin-1").decode(errors="replace")
    return APIResponse(status, content_type, response.body, milliseconds)


def _save(method: Method, response: APIResponse) -> Response:
    name = quote(_name_file(method, response), safe="")
    headers = {
        "content-type": response.content_type.encode().decode("latin-1"),
        "content-disposition": f"attachment; filename*=utf-8''{name}",
    }
    return Response(response.body, headers=headers)


def _name_file(method: Method, response: APIResponse) -> str:
    if named := re.search('name="([^"]+)"', response.content_type):
        return named[1]
    kind = response.content_type.partition(";")[0].strip()
    title = re.sub("[^a-z0-9]+", "_", method.title.removeprefix("Export ").lower()).strip("_")
    return method.saved_as or f"{title}.{_ENDINGS.get(kind, 'txt')}"


# -- the page -------------------------------------------------------------------------------------


def _show(
    visit: Visit,
    project: StoredProject,
    method: Method,
    values: Mapping[str, Value],
    response: APIResponse | None = None,
) -> Response:
    url, error = f"{visit.store.url}api/", ""
    request: Mapping[str, str] = {}
    code: Mapping[str, str | None] = {}
    try:
        request = write_request(method, values)
        code = {language: snippet(method, values, language, url=url) for language in LANGUAGES}
    except (TypeError, ValueError) as refused:
        error = str(refused)
    language = visit.form.get_text("language")
    return visit.show(
        "playground.html",
        400 if error else 200,
        project=project,
        here=PLAYGROUND,
        error=error,
        methods=_group_methods(),
        method=method,
        only_reads=_only_reads(method),
        inputs=list_inputs(visit, project, method, values),
        has_token=bool(visit.store.find_token(project.id, project.username)),
        api_url=url,
        request=request,
        languages=LANGUAGES,
        language=language if language in LANGUAGES else next(iter(LANGUAGES)),
        code=code,
        response=response,
        file_name=_name_file(method, response) if response else "",
    )


def _only_reads(method: Method) -> bool:
    return _GROUPS.get(method.action) == "Exports"


def _group_methods() -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = {name: [] for name in (*_GROUPS.values(), "Other changes")}
    for method in METHODS:
        groups[_GROUPS.get(method.action, "Other changes")].append(method.title)
    return {name: sorted(titles) for name, titles in groups.items()}
