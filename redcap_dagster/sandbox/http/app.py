"""The API over HTTP: a request is read, answered by its content, and logged without its values."""

import logging
import secrets
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from redcap_dagster.sandbox.calls import log
from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply, Upload, text_reply
from redcap_dagster.sandbox.design import creation, structure_imports
from redcap_dagster.sandbox.design import structure_exports as structure
from redcap_dagster.sandbox.documents import file_repository as repository
from redcap_dagster.sandbox.documents import pdf, reports
from redcap_dagster.sandbox.people import data_access_groups as groups
from redcap_dagster.sandbox.people import roles, users
from redcap_dagster.sandbox.protocol.formats import write_error
from redcap_dagster.sandbox.protocol.parameters import FORMATS, Parameters, RequestError
from redcap_dagster.sandbox.records import deletion as changes
from redcap_dagster.sandbox.records import export as records
from redcap_dagster.sandbox.records import files, project_xml, randomization, surveys
from redcap_dagster.sandbox.records import numbering as names
from redcap_dagster.sandbox.records import record_import as imports
from redcap_dagster.sandbox.store.rights import Rights, require
from redcap_dagster.sandbox.store.store import Store

logger = logging.getLogger("redcap_dagster.sandbox")

MAX_BODY = 64 * 1024 * 1024
MAX_PARAMETERS = 200_000
MAX_FILES = 10

ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    **structure.ANSWERS,
    **records.ANSWERS,
    **imports.ANSWERS,
    **changes.ANSWERS,
    **randomization.ANSWERS,
    **names.ANSWERS,
    **log.ANSWERS,
    **creation.ANSWERS,
    **files.ANSWERS,
    **groups.ANSWERS,
    **pdf.ANSWERS,
    **project_xml.ANSWERS,
    **reports.ANSWERS,
    **repository.ANSWERS,
    **roles.ANSWERS,
    **structure_imports.ANSWERS,
    **surveys.ANSWERS,
    **users.ANSWERS,
}
"""What answers each content and action."""

_CONTENTS: Final = frozenset(content for content, _ in ANSWERS)
_ACTIONS: Final = frozenset(action for _, action in ANSWERS) | {"import"}
_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]

# As a server of July 2023 sent them.
_HEADERS: Final = {
    "expires": "0",
    "cache-control": "no-store, no-cache, must-revalidate",
    "pragma": "no-cache",
    "x-xss-protection": "1;  mode=block",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "Origin, X-Requested-With, Content-Type, Accept",
    "x-frame-options": "SAMEORIGIN",
    "x-ua-compatible": "IE=edge,chrome=1",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was answered, without any of its values.

    Attributes:
        content: REDCap's name of what was asked for; blank if there is no such content.
        action: What was to be done with it, ``export`` by default.
        status: The HTTP status of the answer.
        parameters: The names of what was sent, arrays without their index.
    """

    content: str
    action: str
    status: int
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, parameters: Parameters, status: int) -> Self:
        """Say of a request what may be told, and how it was answered."""
        content = parameters.text("content")
        return cls(
            content if content in _CONTENTS else "", _action(parameters), status, parameters.names
        )


def create_app(store: Store, answered: Callable[[Answered], None]) -> Starlette:
    """Make the web application of a sandbox.

    Args:
        store: The projects.
        answered: Called before each answer is sent.
    """

    async def api(request: Request) -> Response:
        began = time.perf_counter()
        parameters = Parameters.of([])
        format_ = "xml"
        try:
            if request.method != "POST" or not request.url.path.endswith("/"):
                raise RequestError(501, "The requested method is not implemented.")
            parameters, files = await read_form(request)
            format_ = _format_of_errors(parameters)
            reply, status = await run_in_threadpool(answer, store, parameters, files), 200
        except RequestError as refused:
            reply = text_reply(write_error(refused.message, format_), format_)
            status = refused.status
        except Exception as error:  # noqa: BLE001
            # A defect of ours. Its text may hold a value, so only its place is told.
            *_, frame = traceback.extract_tb(error.__traceback__)
            where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            logger.error("the sandbox failed: %s", where)
            reply = text_reply(write_error(f"The sandbox failed: {where}", format_), format_)
            status = 500
        seen = Answered.of(parameters, status)
        answered(seen)
        milliseconds = round(1000 * (time.perf_counter() - began))
        logger.info("content=%s status=%d %d ms", seen.content, status, milliseconds)
        # Filler of random length, which shows that REDCap and no proxy answered.
        filler = secrets.token_hex(32)[: 1 + secrets.randbelow(64)]
        return Response(
            reply.body,
            status,
            {**_HEADERS, "redcap-random-text": filler, "content-type": reply.content_type},
        )

    return Starlette(
        routes=[Route(path, api, methods=_METHODS) for path in ("/api/", "/api")],
        middleware=[Middleware(GZipMiddleware, minimum_size=1, compresslevel=1)],
        exception_handlers={404: _not_found},
    )


def answer(store: Store, parameters: Parameters, files: Mapping[str, Upload]) -> Reply:
    """Answer a request.

    Raises:
        RequestError: The answer is an error.
    """
    if not (parameters.names or files):
        raise RequestError(501, "The requested method is not implemented.")
    token, what = parameters.text("token"), (parameters.text("content"), _action(parameters))
    with store.lock:
        if token == store.super_token and what in creation.CREATORS:
            return creation.CREATORS[what](store, parameters)
        project = store.find(token)
        if project is None:
            raise RequestError(403, "You do not have permissions to use the API")
        if what[0] not in _CONTENTS:
            raise RequestError(400, 'The value of the parameter "content" is not valid')
        if what not in ANSWERS:
            # Guess.
            raise RequestError(400, 'The value of the parameter "action" is not valid')
        _require_api_rights(project.rights, what[1])
        return ANSWERS[what](Call(store, project, parameters, files))


def _require_api_rights(rights: Rights, action: str) -> None:
    """Refuse what the user may not do by the API at all."""
    refused = "You do not have permissions to use the API"
    require(rights.api_export or rights.api_import, 403, refused)
    if action in ("export", "list"):
        # Guess, by the text for imports.
        require(rights.api_export, 403, "You do not have API Export privileges")
    elif action in ("import", "createFolder"):
        require(rights.api_import, 403, "You do not have API Import/Update privileges")


def _action(parameters: Parameters) -> str:
    """What is to be done; data without an action is an import. Blank for an unknown action."""
    action = parameters.text("action", "import" if "data" in parameters.names else "export")
    return action if action in _ACTIONS else ""


def _format_of_errors(parameters: Parameters) -> str:
    asked = parameters.text("returnFormat") or parameters.text("format")
    return asked if asked in FORMATS else "xml"


async def read_form(request: Request) -> tuple[Parameters, Mapping[str, Upload]]:
    """Read the form of a request into memory, bounded; nothing of it reaches the disk."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RequestError(413, "The request is too large for this sandbox.")
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        try:
            pairs = parse_qsl(
                body.decode(errors="replace"),
                keep_blank_values=True,
                max_num_fields=MAX_PARAMETERS,
            )
        except ValueError:
            raise RequestError(
                413, "The request has too many parameters for this sandbox."
            ) from None
        return Parameters.of(pairs), {}

    async def whole() -> AsyncGenerator[bytes, None]:
        yield bytes(body)

    parser = MultiPartParser(
        request.headers,
        whole(),
        max_files=MAX_FILES,
        max_fields=MAX_PARAMETERS,
        max_part_size=MAX_BODY,
    )
    parser.spool_max_size = MAX_BODY + 1  # a part as large as this would go to the disk
    try:
        form = await parser.parse()
    except MultiPartException:
        raise RequestError(400, "This sandbox cannot read the form of this request.") from None
    texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    files = {
        name: Upload(value.filename or "", value.content_type or "", await value.read())
        for name, value in form.multi_items()
        if not isinstance(value, str)
    }
    await form.close()
    return Parameters.of(texts), files


async def _not_found(_: Request, __: Exception) -> Response:
    """What a web server says of a path that is not REDCap's."""
    page = "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
    return Response(page, 404, media_type="text/html")
