"""The web application: it reads a request, has it handled, and logs it without its values."""

import logging
import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Self

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response as HTTPResponse
from starlette.routing import Route

from redcap_dagster.sandbox.calls.call import Response, Upload, respond_with_text
from redcap_dagster.sandbox.http.form import read_form
from redcap_dagster.sandbox.http.handlers import CONTENTS, handle_request, read_action
from redcap_dagster.sandbox.protocol.formats import write_error
from redcap_dagster.sandbox.protocol.parameters import FORMATS, Parameters, RequestError
from redcap_dagster.sandbox.store.store import Store

logger = logging.getLogger("redcap_dagster.sandbox")

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
class HandledRequest:
    """A request that the sandbox responded to, without any of its values.

    Attributes:
        content: REDCap's name of the content requested; blank if there is no such content.
        action: Action requested; ``export`` if the request named none and had no data.
        status: HTTP status of the response.
        parameters: Names of the parameters sent, arrays without their index.
    """

    content: str
    action: str
    status: int
    parameters: tuple[str, ...]

    @classmethod
    def from_parameters(cls, parameters: Parameters, status: int) -> Self:
        """Return the description of a request by its parameters and its response's status."""
        content = parameters.get_text("content")
        known = content if content in CONTENTS else ""
        return cls(known, read_action(parameters), status, parameters.names)


def create_app(store: Store, on_handled: Callable[[HandledRequest], None]) -> Starlette:
    """Return the web application of a sandbox.

    Args:
        store: Projects that the application serves.
        on_handled: Called with each request before its response is sent.
    """
    dialect = store.dialect

    async def handle_http(request: Request) -> HTTPResponse:
        began = time.perf_counter()
        parameters = Parameters.from_pairs([])
        try:
            if request.method != "POST" or not request.url.path.endswith("/"):
                raise RequestError(501, "The requested method is not implemented.")
            parameters, files = await read_form(request, dialect.max_parameters)
        except Exception as error:  # noqa: BLE001
            status, response = _respond_to_error(store, error, "xml")
        else:
            status, response = await run_in_threadpool(respond_to_request, store, parameters, files)
        record_request(parameters, status, began, on_handled)
        date = format_datetime(store.now().astimezone(UTC), usegmt=True)
        headers = {**_HEADERS, "date": date, "content-type": response.content_type}
        if dialect.filler:
            # Of random length; by it clients see that REDCap responded, not a proxy.
            filler = secrets.token_hex(32)[: 1 + secrets.randbelow(64)]
            headers["redcap-random-text"] = filler
        return HTTPResponse(response.body, status, headers)

    return Starlette(
        routes=[Route(path, handle_http, methods=_METHODS) for path in ("/api/", "/api")],
        middleware=[Middleware(GZipMiddleware, minimum_size=1, compresslevel=1)],
        exception_handlers={404: _respond_not_found},
    )


def respond_to_request(
    store: Store, parameters: Parameters, files: Mapping[str, Upload]
) -> tuple[int, Response]:
    """Return the HTTP status and the response to a request, which may be REDCap's refusal."""
    try:
        return 200, handle_request(store, parameters, files)
    except Exception as error:  # noqa: BLE001
        return _respond_to_error(store, error, _read_error_format(parameters))


def record_request(
    parameters: Parameters,
    status: int,
    began: float,
    on_handled: Callable[[HandledRequest], None],
) -> int:
    """Log a request without its values, and return how many milliseconds it took.

    Args:
        parameters: Parameters of the request.
        status: HTTP status of the response.
        began: When the request came, by `time.perf_counter`.
        on_handled: Called with the description of the request.
    """
    handled = HandledRequest.from_parameters(parameters, status)
    on_handled(handled)
    milliseconds = round(1000 * (time.perf_counter() - began))
    logger.info("content=%s status=%d %d ms", handled.content, status, milliseconds)
    return milliseconds


def _respond_to_error(store: Store, error: Exception, format_: str) -> tuple[int, Response]:
    if isinstance(error, RequestError):
        status, text = error.status, error.write(store.dialect.say)
    else:
        where = locate_defect(error)
        logger.error("the sandbox failed: %s", where)
        status, text = 500, f"The sandbox failed: {where}"
    return status, respond_with_text(write_error(text, format_), format_)


def locate_defect(error: Exception) -> str:
    """Return the type and the line of a defect of the sandbox; its text may hold a value."""
    *_, frame = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"


def _read_error_format(parameters: Parameters) -> str:
    """Return the format of error messages: ``returnFormat``, else ``format``, else XML."""
    format_ = parameters.get_text("returnFormat") or parameters.get_text("format")
    return format_ if format_ in FORMATS else "xml"


async def _respond_not_found(_: Request, __: Exception) -> HTTPResponse:
    """Return a web server's page for a path that is not REDCap's."""
    page = "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
    return HTTPResponse(page, 404, media_type="text/html")
