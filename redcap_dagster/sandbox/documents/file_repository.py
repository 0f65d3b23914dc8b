"""The file repository of a project: folders and documents, in memory only."""

from collections.abc import Mapping
from typing import Final

from redcap_dagster.project.xml.reader import EmbeddedFile
from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply, table_reply, text_reply
from redcap_dagster.sandbox.calls.log import log_manage
from redcap_dagster.sandbox.calls.required_rights import require_to_change, require_to_export
from redcap_dagster.sandbox.people.data_access_groups import groups_of
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.parameters import FORMATS, RequestError
from redcap_dagster.sandbox.protocol.version import version_of
from redcap_dagster.sandbox.records.files import file_reply, uploaded

# One table, as a listing shows both and a document of one folder is none of another.
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


def create_folder(call: Call) -> Reply:
    """Answer ``action=createFolder``: its number. What is wrong with a name is told by guess."""
    require_to_change(call, _RIGHT)
    folder, name = _folder(call), call.parameters.text("name")
    if not 0 < len(name) <= _LONGEST_NAME:
        raise RequestError(400, f"A folder needs a name of at most {_LONGEST_NAME} characters")
    dag = call.parameters.text("dag_id")
    groups = groups_of(call.store, call.project).values()
    call.parameters.known("dag_id", (str(group.id) for group in groups))
    number = _insert(call, folder, name, dag=dag, role=call.parameters.text("role_id"))
    log_manage(call, "Create folder in File Repository (API)")  # guess
    return table_reply(call, Table(("folder_id",), [(number,)]))


def list_folder(call: Call) -> Reply:
    """Answer ``action=list``: folders first, then documents."""
    require_to_export(call, _RIGHT)
    found = call.store.connection.execute(
        "select case when content is null then id else '' end,"
        " case when content is null then '' else id end, name, dag, role from repository"
        " where project = ? and folder is ? order by content is not null, id",
        (call.project.id, _folder(call)),
    )
    columns = ("folder_id", "doc_id", "name", "dag", "role")
    shown = 5 if version_of(call.project.structure.version) >= _RESTRICTIONS_SINCE else 3
    log_manage(call, "List files in File Repository (API)")  # guess
    return table_reply(call, Table(columns[:shown], [row[:shown] for row in found]))


def export_document(call: Call) -> Reply:
    """Answer ``action=export``: the bytes, with the name in the content type."""
    require_to_export(call, _RIGHT)
    number = _document(call)
    name, mime_type, content = call.store.connection.execute(
        "select name, mime_type, content from repository where id = ?", (number,)
    ).fetchone()
    log_manage(call, "Download file from File Repository (API)")  # guess
    return file_reply(EmbeddedFile(name, mime_type, content))


def import_document(call: Call) -> Reply:
    """Answer ``action=import``: keep a document; the listing tells its number."""
    require_to_change(call, _RIGHT)
    _insert(call, _folder(call), (file := uploaded(call)).name, file)
    log_manage(call, "Upload file to File Repository (API)")  # guess
    return _empty(call)


def delete_document(call: Call) -> Reply:
    """Answer ``action=delete``. There is no bin from which it could come back."""
    require_to_change(call, _RIGHT)
    number = _document(call)
    with call.store.connection as database:
        database.execute("delete from repository where id = ?", (number,))
    log_manage(call, "Delete file from File Repository (API)")  # guess
    return _empty(call)


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    ("fileRepository", "createFolder"): create_folder,
    ("fileRepository", "list"): list_folder,
    ("fileRepository", "export"): export_document,
    ("fileRepository", "import"): import_document,
    ("fileRepository", "delete"): delete_document,
}


def _empty(call: Call) -> Reply:
    return text_reply("", call.parameters.choice("returnFormat", FORMATS, call.format))


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
        made = database.execute(
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
    return made.lastrowid or 0


def _folder(call: Call) -> int | None:
    """The folder that is named, which has to exist; without one the top.

    Raises:
        RequestError: It does not, or is of a data access group that the user is not in.
    """
    call.store.connection.execute(_TABLE)
    asked = call.parameters.text("folder_id")
    if not asked:
        return None
    found = call.store.connection.execute(
        "select id, dag from repository where project = ? and cast(id as text) = ?"
        " and content is null",
        (call.project.id, asked),
    ).fetchone()
    group = groups_of(call.store, call.project).get(call.project.rights.data_access_group)
    if found is None or (group and found[1] not in ("", str(group.id))):
        raise RequestError(
            400,
            f"The File Repository folder folder_id={asked} does not exist or else you do not have "
            "permission to that folder because it is DAG-restricted or Role-restricted.",
        )
    return int(found[0])


def _document(call: Call) -> int:
    call.store.connection.execute(_TABLE)
    asked = call.parameters.text("doc_id")
    found = call.store.connection.execute(
        "select id from repository where project = ? and cast(id as text) = ?"
        " and content is not null",
        (call.project.id, asked),
    ).fetchone()
    if found is None:
        # Guess, by the text for folders.
        raise RequestError(400, f"The File Repository file doc_id={asked} does not exist")
    return int(found[0])
