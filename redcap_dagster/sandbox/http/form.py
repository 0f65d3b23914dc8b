"""The form of a request, read into memory: at most 64 MiB, 200,000 parameters and 10 files."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from redcap_dagster.sandbox.calls.call import Upload
from redcap_dagster.sandbox.protocol.parameters import Parameters, RequestError

MAX_BODY: Final = 64 * 1024 * 1024
MAX_PARAMETERS: Final = 200_000
MAX_FILES: Final = 10


async def read_form(
    request: Request, most: int | None = None
) -> tuple[Parameters, Mapping[str, Upload]]:
    """Return the parameters and the files of a request; nothing is written to the disk.

    Args:
        request: Request.
        most: Number of parameters after which the rest is lost. Defaults to None: none is lost.

    Raises:
        RequestError: The request is too large, or its form cannot be read.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RequestError(413, "The request is too large for this sandbox.")
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _read_multipart(request, bytes(body), most)
    try:
        pairs = parse_qsl(
            body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        raise RequestError(413, "The request has too many parameters for this sandbox.") from None
    return Parameters.from_pairs(pairs[:most]), {}


async def _read_multipart(
    request: Request, body: bytes, most: int | None
) -> tuple[Parameters, Mapping[str, Upload]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        request.headers,
        stream(),
        max_files=MAX_FILES,
        max_fields=MAX_PARAMETERS,
        max_part_size=MAX_BODY,
    )
    parser.spool_max_size = MAX_BODY + 1  # Starlette writes a part of this size to the disk
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
    return Parameters.from_pairs(texts[:most]), files
