"""The file repository of a project: its folders and documents."""

from collections.abc import Mapping
from typing import Final

from redcap_dagster.project.xml.reader import EmbeddedFile
from redcap_dagster.sandbox.calls.call import (
    Call,
    Handler,
    Response,
    respond_with_nothing,
    respond_with_table,
)
from redcap_dagster.sandbox.calls.log import log_management
from redcap_dagster.sandbox.calls.required_rights import require_export_right, require_import_right
from redcap_dagster.sandbox.people.data_access_groups import load_groups
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.protocol.version import parse_version
from redcap_dagster.sandbox.records.files import read_upload, respond_with_file

# Folders and documents are in one table because a listing shows both.
_TABLE: Final = """
create table if not exists repository (
    id integer primary key, project integer not null references project on delete cascade,
    folder integer references repository on delete cascade, name text not null,
    mime_type text, content blob, dag text not null, role text not null
)
"""
_RIGHT: Final = "file_repository"
_LONGEST_NAME: Final = 150
_RESTRICTIONS_SINCE: Final = (16, 0, 8)


def create_folder(call: Call) -> Response:
    """Handle ``action=createFolder``: respond with its number; the refusal of names is a guess."""
    require_import_right(call, _RIGHT)
    folder, name = _find_folder(call), call.parameters.get_text("name")
    if not 0 < len(name) <= _LONGEST_NAME:
        raise RequestError(400, f"A folder needs a name of at most {_LONGEST_NAME} characters")
    dag = call.parameters.get_text("dag_id")
    groups = load_groups(call.store, call.project).values()
    call.parameters.get_known_names("dag_id", (str(group.id) for group in groups))
    number = _insert(call, folder, name, dag=dag, role=call.parameters.get_text("role_id"))
    log_management(call, "Create folder in File Repository (API)")  # guess
    return respond_with_table(call, Table(("folder_id",), [(number,)]))


def list_folder(call: Call) -> Response:
    """Handle ``action=list``: folders first, then documents."""
    require_export_right(call, _RIGHT)
    found = call.store.connection.execute(
        "select case when content is null then id else '' end,"
        " case when content is null then '' else id end, name, dag, role from repository"
        " where project = ? and folder is ? order by content is not null, id",
        (call.project.id, _find_folder(call)),
    )
    columns = ("folder_id", "doc_id", "name", "dag", "role")
    shown = 5 if parse_version(call.project.structure.version) >= _RESTRICTIONS_SINCE else 3
    log_management(call, "List files in File Repository (API)")  # guess
    return respond_with_table(call, Table(columns[:shown], [row[:shown] for row in found]))


def export_document(call: Call) -> Response:
    """Handle ``action=export``: respond with a document, its name in the content type."""
    require_export_right(call, _RIGHT)
    number = _find_document(call)
    name, mime_type, content = call.store.connection.execute(
        "select name, mime_type, content from repository where id = ?", (number,)
    ).fetchone()
    log_management(call, "Download file from File Repository (API)")  # guess
    return respond_with_file(EmbeddedFile(name, mime_type, content))


def import_document(call: Call) -> Response:
    """Handle ``action=import``: store a document; the listing has its number."""
    require_import_right(call, _RIGHT)
    _insert(call, _find_folder(call), (file := read_upload(call)).name, file)
    log_management(call, "Upload file to File Repository (API)")  # guess
    return respond_with_nothing(call)


def delete_document(call: Call) -> Response:
    """Handle ``action=delete``: delete a document; this sandbox has no recycle bin."""
    require_import_right(call, _RIGHT)
    number = _find_document(call)
    with call.store.connection as database:
        database.execute("delete from repository where id = ?", (number,))
    log_management(call, "Delete file from File Repository (API)")  # guess
    return respond_with_nothing(call)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("fileRepository", "createFolder"): create_folder,
    ("fileRepository", "list"): list_folder,
    ("fileRepository", "export"): export_document,
    ("fileRepository", "import"): import_document,
    ("fileRepository", "delete"): delete_document,
}


def _insert(
    call: Call,
    folder: int | None,
    name: str,
    file: EmbeddedFile | None = None,
    *,
    dag: str = "",
    role: str = "",
) -> int:
    with call.store.connection as database:
        added = database.execute(
            "insert into repository (project, folder, name, mime_type, content, dag, role)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (
                call.project.id,
                folder,
                name,
                file and file.mime_type,
                file and file.content,
                dag,
                role,
            ),
        )
    return added.lastrowid or 0


def _find_folder(call: Call) -> int | None:
    """Return the number of the requested folder; None for the top.

    Raises:
        RequestError: The folder does not exist, or belongs to another access group.
    """
    call.store.connection.execute(_TABLE)
    number = call.parameters.get_text("folder_id")
    if not number:
        return None
    found = call.store.connection.execute(
        "select id, dag from repository where project = ? and cast(id as text) = ?"
        " and content is null",
        (call.project.id, number),
    ).fetchone()
    group = load_groups(call.store, call.project).get(call.project.rights.data_access_group)
    if found is None or (group and found[1] not in ("", str(group.id))):
        raise RequestError(
            400,
            f"The File Repository folder folder_id={number} does not exist or else you do not have "
            "permission to that folder because it is DAG-restricted or Role-restricted.",
        )
    return int(found[0])


def _find_document(call: Call) -> int:
    call.store.connection.execute(_TABLE)
    number = call.parameters.get_text("doc_id")
    found = call.store.connection.execute(
        "select id from repository where project = ? and cast(id as text) = ?"
        " and content is not null",
        (call.project.id, number),
    ).fetchone()
    if found is None:
        # Guess, by the text for folders.
        raise RequestError(400, f"The File Repository file doc_id={number} does not exist")
    return int(found[0])
