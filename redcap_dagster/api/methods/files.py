"""Files: what a file field holds, and every file that comes as an answer."""

import mimetypes
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from itertools import chain
from pathlib import Path, PureWindowsPath
from typing import Self

from redcap_dagster.api.calls.parameters import call_parameters, check_positive, check_required
from redcap_dagster.api.calls.rows import read_done
from redcap_dagster.api.http.response import Response, check_data, malformed_error, read_start
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames

_UNTYPED = "application/octet-stream"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class REDCapFile:
    """A file: its name, its type and its bytes, of which ``repr`` shows none.

    Attributes:
        name: Without any folder; it may name a person.
        mime_type: Such as ``image/jpeg``.
        content: The bytes.
    """

    name: str = field(repr=False)
    mime_type: str
    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a file of this machine."""
        path = Path(path)
        return cls(path.name, mimetypes.guess_type(path.name)[0] or _UNTYPED, path.read_bytes())

    @property
    def part(self) -> tuple[str, bytes, str]:
        """The file as a part of a form."""
        return check_required("name", self.name), self.content, self.mime_type or _UNTYPED


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a project's file and signature fields.

    Example:
        >>> from redcap_dagster.api import REDCapClient, REDCapFile
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"},
        ...           {"field_name": "scan", "form_name": "visit", "field_type": "file"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     client.files.import_(REDCapFile("a.txt", "text/plain", b"hello"), "1", "scan")
        ...     file = client.files.export("1", "scan")
        >>> file.name, file.mime_type, file.content
        ('a.txt', 'text/plain', b'hello')
    """

    _transport: Transport
    _names: ProjectNames

    def export(
        self, record: str | int, field: str, event: str | None = None, repeat_instance: int = 1
    ) -> REDCapFile:
        """Export a file; needs the right to API Export.

        Args:
            record: The record id.
            field: A field of type ``file``.
            event: The event, in a longitudinal project.
            repeat_instance: The instance, where the form or event repeats.

        Raises:
            ValueError: The project has no such field or event; no file was asked for.
            RefusedError: There is no such file; its ``kind`` says ``no file`` or ``no file field``.
            REDCapError: Of the type that says what is wrong.

        Example:
            >>> scan = REDCapFile("a.txt", "text/plain", b"hello")
            >>> redcap.files.import_(scan, "1", "scan", event="first_arm_1")
            >>> redcap.files.export("1", "scan", event="first_arm_1").content
            b'hello'
        """
        wanted = self._asked("export", record, field, event, repeat_instance)
        return self._transport.post("file export", wanted, receive_file)

    def save(
        self,
        folder: str | Path,
        record: str | int,
        field: str,
        event: str | None = None,
        repeat_instance: int = 1,
    ) -> Path:
        """Export a file like `export` into a folder, without holding it in memory.

        Returns:
            Where it is: in the folder itself, whatever name the server gives.

        Raises:
            FileExistsError: The folder has a file of that name, which is left as it is.

        Example:
            >>> scan = REDCapFile("a.txt", "text/plain", b"hello")
            >>> redcap.files.import_(scan, "1", "scan", event="first_arm_1")
            >>> redcap.files.save(folder, "1", "scan", event="first_arm_1").name
            'a.txt'
        """
        path = existing_folder(folder)
        wanted = self._asked("export", record, field, event, repeat_instance)
        return save_file(self._transport, "file export", wanted, path)

    def import_(
        self,
        file: REDCapFile,
        record: str | int,
        field: str,
        event: str | None = None,
        repeat_instance: int = 1,
    ) -> None:
        """Store a file in a field, over the one that is there; a record that is not is created.

        Needs the right to API Import/Update. REDCap takes no signatures. It is sent once.

        Raises:
            ValueError: The project has no such field or event; nothing was stored.
            OutcomeUnknownError: The answer was lost.
            REDCapError: It was not done; the type says why.

        Example:
            >>> scan = REDCapFile("a.txt", "text/plain", b"hello")
            >>> redcap.files.import_(scan, "1", "scan", event="first_arm_1")
        """
        part = file.part
        wanted = self._asked("import", record, field, event, repeat_instance)
        self._transport.post_once("file import", wanted, read_done, part)

    def delete(
        self, record: str | int, field: str, event: str | None = None, repeat_instance: int = 1
    ) -> None:
        """Delete the file of a field; errors as for `import_`.

        Needs the right to API Import/Update.

        Example:
            >>> scan = REDCapFile("a.txt", "text/plain", b"hello")
            >>> redcap.files.import_(scan, "1", "scan", event="first_arm_1")
            >>> redcap.files.delete("1", "scan", event="first_arm_1")
        """
        wanted = self._asked("delete", record, field, event, repeat_instance)
        self._transport.post_once("file deletion", wanted, read_done)

    def _asked(
        self, action: str, record: str | int, field: str, event: str | None, repeat_instance: int
    ) -> dict[str, str]:
        wanted = call_parameters(
            "file",
            action,
            record=check_required("record", record),
            field=check_required("field", field),
            event=event,
            repeat_instance=check_positive("repeat_instance", repeat_instance),
        )
        self._names.check_place(field=field, event=event)
        return wanted


# -- answers that are files -----------------------------------------------------------------------


def receive_file(response: Response) -> REDCapFile:
    """Take an answer for a file."""
    name, mime_type, chunks = _opened(response)
    return REDCapFile(name, mime_type, b"".join(chunks))


def existing_folder(folder: str | Path) -> Path:
    """Make sure that there is a folder.

    Raises:
        NotADirectoryError: There is none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError("folder: there is no such folder; make it first.")
    return folder


def save_file(transport: Transport, request: str, parameters: dict[str, str], folder: Path) -> Path:
    """Stream an answer that is a file into a folder; what breaks off leaves nothing behind.

    Raises:
        FileExistsError: The folder has a file of that name.
    """

    def receive(response: Response) -> Path:
        name, _, chunks = _opened(response)
        path = folder / name
        # Only for this user, never over another file, and never through a link. An error of the
        # system would show the file's name.
        number, why = 0, ""
        try:
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            number, why = error.errno or 0, error.strerror or "unknown"
        if number:
            raise OSError(number, f"{request}: cannot make a new file in the folder: {why}.")
        try:
            with os.fdopen(target, "wb") as file:
                file.writelines(chunks)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    return transport.post(request, parameters, receive)


def _opened(response: Response) -> tuple[str, str, Iterator[bytes]]:
    """Give name, type and content of an answer that is a file, as its header says.

    A PDF has been seen without a name and as ``text/html``, so that it is known by how it begins.
    """
    head = Message()
    # Headers are read as Latin-1; REDCap writes names as UTF-8 (a guess).
    head["Content-Type"] = (
        response.headers.get("Content-Type", _UNTYPED)
        .encode("latin-1", "replace")
        .decode("utf-8", "replace")
    )
    name = head.get_param("name")
    if name:
        text = name[2] if isinstance(name, tuple) else name
        return safe_name(text), head.get_content_type(), response.chunks
    start = next(response.chunks, b"")
    if not start.startswith(b"%PDF-"):
        check_data(response, start + read_start(response.chunks))
        raise malformed_error(response, "it is no file: its header gives no name")
    return "redcap.pdf", "application/pdf", chain((start,), response.chunks)


def safe_name(name: str) -> str:
    r"""Give a file name that stays in the folder where it is put, whoever chose it.

    Example:
        >>> [safe_name(name) for name in ("../../etc/passwd", r"C:\x\scan.pdf", "..", "")]
        ['passwd', 'scan.pdf', 'file', 'file']
    """
    last = PureWindowsPath(name.replace("\0", "")).name
    printed = "".join(letter for letter in last if letter.isprintable() and letter not in ':*?"<>|')
    # The end is kept: it says of which type the file is.
    short = printed.encode("utf-8", "ignore")[-_LONGEST_NAME:].decode("utf-8", "ignore")
    return short.strip(". ") or "file"
