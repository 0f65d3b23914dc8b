"""The file repository of a project: folders, and files that do not belong to a record."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redcap_dagster.api.calls.file_response import REDCapFile, check_folder, export_file, save_file
from redcap_dagster.api.calls.parameters import call_parameters, check_positive, check_required
from redcap_dagster.api.calls.rows import export_rows, read_done
from redcap_dagster.api.http.response import Response, malformed_error, read_json
from redcap_dagster.api.http.transport import Transport

_CONTENT = "fileRepository"
_LONGEST_NAME = 150


@dataclass(frozen=True, slots=True)
class FileRepository:
    """The file repository of a project (REDCap 13.1). Needs the right to the file repository.

    Example:
        >>> from redcap_dagster.api import REDCapFile
        >>> number = redcap.repository.create_folder("Consent")
        >>> redcap.repository.import_(REDCapFile("a.txt", "text/plain", b"hello"), number)
        >>> [row["name"] for row in redcap.repository.list_(number)]
        ['a.txt']
    """

    _transport: Transport

    def list_(self, folder_id: int | None = None) -> list[dict[str, Any]]:
        """Return one row per folder and file in a folder.

        Args:
            folder_id: The number of the folder. Defaults to the top folder.

        Returns:
            Rows with ``folder_id`` or ``doc_id``, and ``name``. Newer servers add role and access
            group.

        Raises:
            REDCapError: The request failed. The type says why. So does every method.

        Example:
            >>> number = redcap.repository.create_folder("Consent")
            >>> [row["name"] for row in redcap.repository.list_()]
            ['Consent']
        """
        parameters = call_parameters(
            _CONTENT, "list", folder_id=check_positive("folder_id", folder_id)
        )
        return export_rows(self._transport, "file repository list", parameters, "name")

    def create_folder(
        self,
        name: str,
        folder_id: int | None = None,
        dag_id: int | None = None,
        role_id: int | None = None,
    ) -> int:
        """Create a folder and return its number. The request is sent once.

        Args:
            name: The name, at most 150 characters.
            folder_id: The number of the parent folder. Defaults to the top folder.
            dag_id: The only access group that can see the folder. Defaults to all groups.
            role_id: The only user role that can see the folder. Defaults to all roles.

        Raises:
            ValueError: The name is blank or too long. Nothing was sent.
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> number = redcap.repository.create_folder("Consent")
            >>> redcap.repository.list_(number)
            []
        """
        if len(check_required("name", name)) > _LONGEST_NAME:
            raise ValueError(f"name: is longer than {_LONGEST_NAME} characters. Shorten it.")
        parameters = call_parameters(
            _CONTENT,
            "createFolder",
            name=name,
            folder_id=check_positive("folder_id", folder_id),
            dag_id=check_positive("dag_id", dag_id),
            role_id=check_positive("role_id", role_id),
        )
        return self._transport.post_once("file repository folder", parameters, _read_folder)

    def export(self, doc_id: int) -> REDCapFile:
        """Return a file.

        Args:
            doc_id: The number of the file, as `list_` returns it.

        Example:
            >>> redcap.repository.import_(REDCapFile("a.txt", "text/plain", b"hello"))
            >>> [row] = redcap.repository.list_()
            >>> redcap.repository.export(row["doc_id"]).content
            b'hello'
        """
        parameters = call_parameters(_CONTENT, "export", doc_id=check_positive("doc_id", doc_id))
        return export_file(self._transport, "file repository export", parameters)

    def save(self, folder: str | Path, doc_id: int) -> Path:
        """Save a file like `export` in a folder, and return its path; see `Files.save`.

        Example:
            >>> redcap.repository.import_(REDCapFile("a.txt", "text/plain", b"hello"))
            >>> [row] = redcap.repository.list_()
            >>> redcap.repository.save(folder, row["doc_id"]).name
            'a.txt'
        """
        parameters = call_parameters(_CONTENT, "export", doc_id=check_positive("doc_id", doc_id))
        path = check_folder(folder)
        return save_file(self._transport, "file repository export", parameters, path)

    def import_(self, file: REDCapFile, folder_id: int | None = None) -> None:
        """Store a file in a folder. The request is sent once.

        Args:
            file: The file.
            folder_id: The number of the folder. Defaults to the top folder.

        Raises:
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> redcap.repository.import_(REDCapFile("a.txt", "text/plain", b"hello"))
            >>> [row] = redcap.repository.list_()
            >>> row["name"]
            'a.txt'
        """
        parameters = call_parameters(
            _CONTENT, "import", folder_id=check_positive("folder_id", folder_id)
        )
        self._transport.post_once("file repository import", parameters, read_done, file.part)

    def delete(self, doc_id: int) -> None:
        """Move a file to the recycle bin, which REDCap empties after 30 days.

        The request is sent once.

        Raises:
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> redcap.repository.import_(REDCapFile("a.txt", "text/plain", b"hello"))
            >>> [row] = redcap.repository.list_()
            >>> redcap.repository.delete(row["doc_id"])
            >>> redcap.repository.list_()
            []
        """
        parameters = call_parameters(_CONTENT, "delete", doc_id=check_positive("doc_id", doc_id))
        self._transport.post_once("file repository deletion", parameters, read_done)


def _read_folder(response: Response) -> int:
    match read_json(response):
        case [{"folder_id": int() | str() as number}] if str(number).isdecimal():
            return int(number)
    raise malformed_error(response, "it does not have the number of a folder")
