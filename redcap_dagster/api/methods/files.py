"""The files of a project's file and signature fields."""

from dataclasses import dataclass
from pathlib import Path

from redcap_dagster.api.calls.file_response import REDCapFile, check_folder, export_file, save_file
from redcap_dagster.api.calls.parameters import call_parameters, check_positive, check_required
from redcap_dagster.api.calls.rows import read_done
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a project's file and signature fields.

    Example:
        >>> redcap.files.import_(
        ...     REDCapFile("a.txt", "text/plain", b"hello"), "1", "scan", event="first_arm_1")
        >>> redcap.files.export("1", "scan", event="first_arm_1").name
        'a.txt'
    """

    _transport: Transport
    _names: ProjectNames

    def export(
        self, record: str | int, field: str, event: str | None = None, repeat_instance: int = 1
    ) -> REDCapFile:
        """Return the file of a field. Needs the right to API Export.

        Args:
            record: The record id.
            field: A field of type ``file``.
            event: The event, in a longitudinal project. Defaults to none.
            repeat_instance: The instance, where the instrument or event repeats. Defaults to 1.

        Raises:
            ValueError: The project does not have such a field or event. No file was requested.
            RefusedError: No file is stored there, or the field is not a file field: its ``kind`` is
                ``no file`` or ``no file field``.
            FileTooLargeError: The file is larger than ``max_file_bytes``.
            REDCapError: The request failed. The type says why.

        Example:
            >>> scan = REDCapFile("a.txt", "text/plain", b"hello")
            >>> redcap.files.import_(scan, "1", "scan", event="first_arm_1")
            >>> redcap.files.export("1", "scan", event="first_arm_1").content
            b'hello'
        """
        parameters = self._write_parameters("export", record, field, event, repeat_instance)
        return export_file(self._transport, "file export", parameters)

    def save(
        self,
        folder: str | Path,
        record: str | int,
        field: str,
        event: str | None = None,
        repeat_instance: int = 1,
    ) -> Path:
        """Save the file of a field in a folder, without holding it in memory, and return its path.

        The path is in the folder itself, whatever name the server sends. The parameters are those
        of `export`.

        Args:
            folder: The folder.
            record: The record id.
            field: A field of type ``file``.
            event: The event, in a longitudinal project. Defaults to none.
            repeat_instance: The instance, where the instrument or event repeats. Defaults to 1.

        Raises:
            NotADirectoryError: The folder does not exist.
            FileExistsError: The folder has a file of that name, which is left as it is.
            FileTooLargeError: The file is larger than ``max_file_bytes``. Nothing was saved.

        Example:
            >>> scan = REDCapFile("a.txt", "text/plain", b"hello")
            >>> redcap.files.import_(scan, "1", "scan", event="first_arm_1")
            >>> redcap.files.save(folder, "1", "scan", event="first_arm_1").name
            'a.txt'
        """
        path = check_folder(folder)
        parameters = self._write_parameters("export", record, field, event, repeat_instance)
        return save_file(self._transport, "file export", parameters, path)

    def import_(
        self,
        file: REDCapFile,
        record: str | int,
        field: str,
        event: str | None = None,
        repeat_instance: int = 1,
    ) -> None:
        """Store a file in a field, replacing the stored one. A new record is created.

        Needs the right to API Import/Update. REDCap does not import signatures. The request is sent
        once.

        Args:
            file: The file.
            record: The record id.
            field: A field of type ``file``.
            event: The event, in a longitudinal project. Defaults to none.
            repeat_instance: The instance, where the instrument or event repeats. Defaults to 1.

        Raises:
            ValueError: The project does not have such a field or event. Nothing was stored.
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> scan = REDCapFile("a.txt", "text/plain", b"hello")
            >>> redcap.files.import_(scan, "1", "scan", event="first_arm_1")
        """
        part = file.part
        parameters = self._write_parameters("import", record, field, event, repeat_instance)
        self._transport.post_once("file import", parameters, read_done, part)

    def delete(
        self, record: str | int, field: str, event: str | None = None, repeat_instance: int = 1
    ) -> None:
        """Delete the file of a field. The request is sent once.

        Needs the right to API Import/Update. Parameters and errors are those of `import_`.

        Example:
            >>> scan = REDCapFile("a.txt", "text/plain", b"hello")
            >>> redcap.files.import_(scan, "1", "scan", event="first_arm_1")
            >>> redcap.files.delete("1", "scan", event="first_arm_1")
        """
        parameters = self._write_parameters("delete", record, field, event, repeat_instance)
        self._transport.post_once("file deletion", parameters, read_done)

    def _write_parameters(
        self, action: str, record: str | int, field: str, event: str | None, repeat_instance: int
    ) -> dict[str, str]:
        parameters = call_parameters(
            "file",
            action,
            record=check_required("record", record),
            field=check_required("field", field),
            event=event,
            repeat_instance=check_positive("repeat_instance", repeat_instance),
        )
        self._names.check_place(field=field, event=event)
        return parameters
