"""The API over HTTP: a request is read, answered by its content, and logged without its values."""

import logging
import secrets
import time
import traceback
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from redcap_dagster.sandbox.formats import CONTENT_TYPES, write, write_error
from redcap_dagster.sandbox.parameters import FORMATS, Parameters, RequestError
from redcap_dagster.sandbox.records import export_records
from redcap_dagster.sandbox.store import Store
from redcap_dagster.sandbox.structure import EXPORTS

logger = logging.getLogger("redcap_dagster.sandbox")

MAX_BODY = 64 * 1024 * 1024
MAX_PARAMETERS = 200_000

_NOT_YET: Final = frozenset(
    {
        *("dag", "file", "fileRepository", "generateNextRecordName", "log", "participantList"),
        *("pdf", "project_settings", "project_xml", "report", "surveyAccessCode", "surveyLink"),
        *("surveyQueueLink", "surveyReturnCode", "user", "userDagMapping", "userRole"),
        "userRoleMapping",
    }
)
_CONTENTS: Final = frozenset({*EXPORTS, *_NOT_YET, "record", "version"})
_ACTIONS: Final = frozenset({"export", "import", "delete", "rename", "randomize", "switch"})
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
            parameters = await _read(request)
            format_ = _format_of_errors(parameters)
            body, format_ = await run_in_threadpool(answer, store, parameters)
            status = 200
        except RequestError as refused:
            body, status = write_error(refused.message, format_), refused.status
        except Exception as error:  # noqa: BLE001
            # A defect of ours. Its text may hold a value, so only its place is told.
            *_, frame = traceback.extract_tb(error.__traceback__)
            where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            logger.error("the sandbox failed: %s", where)
            body, status = write_error(f"The sandbox failed: {where}", format_), 500
        content = parameters.text("content")
        seen = Answered(
            content if content in _CONTENTS else "", _action(parameters), status, parameters.names
        )
        answered(seen)
        milliseconds = round(1000 * (time.perf_counter() - began))
        logger.info("content=%s status=%d %d ms", seen.content, status, milliseconds)
        # Filler of random length, which shows that REDCap and no proxy answered.
        filler = secrets.token_hex(32)[: 1 + secrets.randbelow(64)]
        return Response(
            body.encode(errors="replace"),
            status,
            {**_HEADERS, "redcap-random-text": filler, "content-type": CONTENT_TYPES[format_]},
        )

    return Starlette(
        routes=[Route(path, api, methods=_METHODS) for path in ("/api/", "/api")],
        middleware=[Middleware(GZipMiddleware, minimum_size=1, compresslevel=1)],
        exception_handlers={404: _not_found},
    )


def answer(store: Store, parameters: Parameters) -> tuple[str, str]:
    """Answer a request: the body and its format.

    Raises:
        RequestError: The answer is an error.
    """
    if not parameters.names:
        raise RequestError(501, "The requested method is not implemented.")
    with store.lock:
        project = store.find(parameters.text("token"))
        if project is None:
            raise RequestError(403, "You do not have permissions to use the API")
        content = parameters.text("content")
        if content not in _CONTENTS:
            raise RequestError(400, 'The value of the parameter "content" is not valid')
        if content in _NOT_YET or _action(parameters) != "export":
            raise RequestError(400, f"This sandbox does not answer this yet of content: {content}")
        format_ = parameters.choice("format", FORMATS, "xml")
        if content == "version":
            return project.structure.version, format_
        if content != "record":
            return write(EXPORTS[content](project.structure, parameters), format_), format_
        if format_ == "xml":
            raise RequestError(400, "This sandbox does not know this value yet of: format")
        table = export_records(store, project, parameters)
    return write(table, format_), format_


def _action(parameters: Parameters) -> str:
    """What is to be done; data without an action is an import. Blank for an unknown action."""
    action = parameters.text("action", "import" if "data" in parameters.names else "export")
    return action if action in _ACTIONS else ""


def _format_of_errors(parameters: Parameters) -> str:
    asked = parameters.text("returnFormat") or parameters.text("format")
    return asked if asked in FORMATS else "xml"


async def _read(request: Request) -> Parameters:
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
        return Parameters.of(pairs)

    async def whole() -> AsyncGenerator[bytes, None]:
        yield bytes(body)

    # Files are what a parser would put on disk: there are none to take yet.
    parser = MultiPartParser(
        request.headers, whole(), max_files=0, max_fields=MAX_PARAMETERS, max_part_size=MAX_BODY
    )
    try:
        form = await parser.parse()
    except MultiPartException:
        raise RequestError(400, "This sandbox cannot read the form of this request.") from None
    return Parameters.of((name, str(value)) for name, value in form.multi_items())


async def _not_found(_: Request, __: Exception) -> Response:
    """What a web server says of a path that is not REDCap's."""
    page = "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
    return Response(page, 404, media_type="text/html")
