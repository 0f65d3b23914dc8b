"""A response as a file, in memory or on the disk: named by its headers, and never an error."""

import mimetypes
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from itertools import chain
from pathlib import Path, PureWindowsPath
from typing import Self

from redcap_dagster.api.calls.parameters import check_required
from redcap_dagster.api.errors import FileTooLargeError
from redcap_dagster.api.http.response import (
    Response,
    check_data,
    check_file,
    malformed_error,
    read_first_chunks,
)
from redcap_dagster.api.http.transport import Transport

_UNTYPED = "application/octet-stream"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class REDCapFile:
    """A file; ``repr`` shows its type only.

    Attributes:
        name: The file name without a folder. It may name a person.
        mime_type: The MIME type, such as ``image/jpeg``.
        content: The bytes.

    Example:
        >>> REDCapFile("scan.txt", "text/plain", b"hello")
        REDCapFile(mime_type='text/plain')
    """

    name: str = field(repr=False)
    mime_type: str
    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Return a file of this machine.

        Args:
            path: The path of the file. Its ending determines the MIME type.
        """
        path = Path(path)
        return cls(path.name, mimetypes.guess_type(path.name)[0] or _UNTYPED, path.read_bytes())

    @property
    def part(self) -> tuple[str, bytes, str]:
        """The file as name, content and MIME type, as a request sends it."""
        return check_required("name", self.name), self.content, self.mime_type or _UNTYPED


def export_file(transport: Transport, request: str, parameters: dict[str, str]) -> REDCapFile:
    """Return a response as a file.

    Raises:
        REDCapError: The request failed, or the file is too large. The type says which.
    """

    def receive(response: Response) -> REDCapFile:
        name, mime_type, chunks = _open_file(response, transport.max_file_bytes)
        return REDCapFile(name, mime_type, b"".join(chunks))

    return transport.post(request, parameters, receive)


def check_folder(folder: str | Path) -> Path:
    """Return the path of a folder that exists.

    Raises:
        NotADirectoryError: It does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError("folder: does not exist. Create it first.")
    return folder


def save_file(transport: Transport, request: str, parameters: dict[str, str], folder: Path) -> Path:
    """Save a response as a file in a folder, and return its path. A failure leaves no file.

    Raises:
        FileExistsError: The folder has a file of that name.
        REDCapError: The request failed, or the file is too large. The type says which.
    """

    def receive(response: Response) -> Path:
        name, _, chunks = _open_file(response, transport.max_file_bytes)
        path = folder / name
        # Only this user can read the file, and neither another file nor the target of a link is
        # overwritten. An error of the system would show the file's name.
        number, why = 0, ""
        try:
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            number, why = error.errno or 0, error.strerror or "unknown"
        if number:
            raise OSError(number, f"{request}: cannot create a new file in the folder: {why}.")
        try:
            with os.fdopen(target, "wb") as file:
                file.writelines(chunks)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    return transport.post(request, parameters, receive)


def _open_file(response: Response, most: int | None) -> tuple[str, str, Iterator[bytes]]:
    """Return name, type and content of a file, by the headers of the response.

    The content is at most of the given size, or its iterator raises `FileTooLargeError`.

    A PDF has been seen without a name and as ``text/html``, so it is recognized by its first bytes.

    Raises:
        REDCapError: The body is an error or a web page, whatever the headers say.
    """
    head = Message()
    for header, default in (("Content-Type", _UNTYPED), ("Content-Disposition", "")):
        # Headers are read as Latin-1; REDCap writes names as UTF-8 (a guess).
        written = response.headers.get(header, default).encode("latin-1", "replace")
        head[header] = written.decode("utf-8", "replace")
    start = read_first_chunks(response.chunks)
    chunks = _bound(response, chain((start,), response.chunks), most)
    name = head.get_filename()
    if not name:
        if not start.startswith(b"%PDF-"):
            check_data(response, start)
            raise malformed_error(response, "it is not a file, as its header does not have a name")
        return "redcap.pdf", "application/pdf", chunks
    safe_name = make_safe_name(name)
    mime_type = head.get_content_type()
    check_file(response, start, mimetypes.guess_type(safe_name)[0] or mime_type)
    return safe_name, mime_type, chunks


def _bound(response: Response, chunks: Iterator[bytes], most: int | None) -> Iterator[bytes]:
    """Yield chunks up to a size in all.

    Raises:
        FileTooLargeError: They are larger.
    """
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if most is not None and size > most:
            raise FileTooLargeError(
                f"{response.request}: the file is larger than max_file_bytes ({most}), so nothing "
                "of it was kept. If it may be as large, raise max_file_bytes.",
                request=response.request,
            )
        yield chunk


def make_safe_name(name: str) -> str:
    r"""Return a file name without folders and special characters.

    Example:
        >>> [make_safe_name(name) for name in ("../../etc/passwd", r"C:\x\scan.pdf", "..", "")]
        ['passwd', 'scan.pdf', 'file', 'file']
    """
    last = PureWindowsPath(name.replace("\0", "")).name
    printed = "".join(letter for letter in last if letter.isprintable() and letter not in ':*?"<>|')
    # The end is kept, as it shows the type of the file.
    short = printed.encode("utf-8", "ignore")[-_LONGEST_NAME:].decode("utf-8", "ignore")
    return short.strip(". ") or "file"
