"""The file repository of a project: folders and files that belong to no record."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redcap_dagster.api.calls.parameters import call_parameters, check_positive, check_required
from redcap_dagster.api.calls.rows import export_rows, read_done
from redcap_dagster.api.http.response import Response, malformed_error, read_json
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.files import REDCapFile, existing_folder, receive_file, save_file

_CONTENT = "fileRepository"
_LONGEST_NAME = 150


@dataclass(frozen=True, slots=True)
class FileRepository:
    """The file repository (REDCap 13.1); needs the right to it besides those to the API.

    Example:
        >>> from redcap_dagster.api import REDCapClient, REDCapFile
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     folder = client.repository.create_folder("Consent")
        ...     file = REDCapFile("a.txt", "text/plain", b"hello")
        ...     client.repository.import_(file, folder)
        ...     [row["name"] for row in client.repository.list_(folder)]
        ['a.txt']
    """

    _transport: Transport

    def list_(self, folder_id: int | None = None) -> list[dict[str, Any]]:
        """List a folder, by default the top one; newer servers give role and access group too.

        Returns:
            ``folder_id`` or ``doc_id``, and ``name``.

        Raises:
            REDCapError: Of the type that says what is wrong; so does every method.

        Example:
            >>> number = redcap.repository.create_folder("Consent")
            >>> [row["name"] for row in redcap.repository.list_()]
            ['Consent']
        """
        wanted = call_parameters(_CONTENT, "list", folder_id=check_positive("folder_id", folder_id))
        return export_rows(self._transport, "file repository list", wanted, "name")

    def create_folder(
        self,
        name: str,
        folder_id: int | None = None,
        dag_id: int | None = None,
        role_id: int | None = None,
    ) -> int:
        """Create a folder, once.

        Args:
            name: At most 150 characters.
            folder_id: The folder to make it in, by default the top one.
            dag_id: The only access group that may see it.
            role_id: The only user role that may see it.

        Returns:
            The new folder's number.

        Raises:
            OutcomeUnknownError: The answer was lost.

        Example:
            >>> number = redcap.repository.create_folder("Consent")
            >>> redcap.repository.list_(number)
            []
        """
        if len(check_required("name", name)) > _LONGEST_NAME:
            raise ValueError(f"name: REDCap takes at most {_LONGEST_NAME} characters.")
        wanted = call_parameters(
            _CONTENT,
            "createFolder",
            name=name,
            folder_id=check_positive("folder_id", folder_id),
            dag_id=check_positive("dag_id", dag_id),
            role_id=check_positive("role_id", role_id),
        )
        return self._transport.post_once("file repository folder", wanted, _read_folder)

    def export(self, doc_id: int) -> REDCapFile:
        """Export a file by the number that `list_` gives.

        Example:
            >>> from redcap_dagster.api import REDCapFile
            >>> redcap.repository.import_(REDCapFile("a.txt", "text/plain", b"hello"))
            >>> [row] = redcap.repository.list_()
            >>> redcap.repository.export(row["doc_id"]).content
            b'hello'
        """
        wanted = call_parameters(_CONTENT, "export", doc_id=check_positive("doc_id", doc_id))
        return self._transport.post("file repository export", wanted, receive_file)

    def save(self, folder: str | Path, doc_id: int) -> Path:
        """Export a file like `export` into a folder of this machine; see `Files.save`.

        Example:
            >>> from redcap_dagster.api import REDCapFile
            >>> redcap.repository.import_(REDCapFile("a.txt", "text/plain", b"hello"))
            >>> [row] = redcap.repository.list_()
            >>> redcap.repository.save(folder, row["doc_id"]).name
            'a.txt'
        """
        wanted = call_parameters(_CONTENT, "export", doc_id=check_positive("doc_id", doc_id))
        path = existing_folder(folder)
        return save_file(self._transport, "file repository export", wanted, path)

    def import_(self, file: REDCapFile, folder_id: int | None = None) -> None:
        """Store a file in a folder, by default the top one, once.

        Raises:
            OutcomeUnknownError: The answer was lost.

        Example:
            >>> from redcap_dagster.api import REDCapFile
            >>> redcap.repository.import_(REDCapFile("a.txt", "text/plain", b"hello"))
            >>> [row] = redcap.repository.list_()
            >>> row["name"]
            'a.txt'
        """
        wanted = call_parameters(
            _CONTENT, "import", folder_id=check_positive("folder_id", folder_id)
        )
        self._transport.post_once("file repository import", wanted, read_done, file.part)

    def delete(self, doc_id: int) -> None:
        """Put a file in the recycle bin, once; after 30 days it is gone.

        Raises:
            OutcomeUnknownError: The answer was lost.

        Example:
            >>> from redcap_dagster.api import REDCapFile
            >>> redcap.repository.import_(REDCapFile("a.txt", "text/plain", b"hello"))
            >>> [row] = redcap.repository.list_()
            >>> redcap.repository.delete(row["doc_id"])
            >>> redcap.repository.list_()
            []
        """
        wanted = call_parameters(_CONTENT, "delete", doc_id=check_positive("doc_id", doc_id))
        self._transport.post_once("file repository deletion", wanted, read_done)


def _read_folder(response: Response) -> int:
    match read_json(response):
        case [{"folder_id": int() | str() as number}] if str(number).isdecimal():
            return int(number)
    raise malformed_error(response, "it does not give the number of a folder")
