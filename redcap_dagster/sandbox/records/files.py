"""The files of file and signature fields: stored with the field's value, and deleted with it."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from redcap_dagster.project import Field
from redcap_dagster.project.xml.reader import DataPoint, EmbeddedFile
from redcap_dagster.sandbox.calls.call import Call, Handler, Response, Upload, respond_with_nothing
from redcap_dagster.sandbox.calls.log import log_record
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.selection import make_record_arm_reader
from redcap_dagster.sandbox.store.rights import NO_ACCESS, require, require_edit_rights
from redcap_dagster.sandbox.store.row_keys import RowKey, list_row_forms
from redcap_dagster.sandbox.store.store import Store, StoredProject

_TABLE: Final = """
create table if not exists file (
    row integer not null, field text not null, name text not null, mime_type text not null,
    content blob not null, primary key (row, field),
    foreign key (row, field) references value (row, name) on delete cascade
) without rowid
"""
_MIME_TYPE: Final = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")
_INVALID_CHARACTERS: Final = re.compile(r'[\x00-\x1f\x7f"/\\]')


# -- storing --------------------------------------------------------------------------------------


def read_upload(call: Call) -> EmbeddedFile:
    """Return the file of a request, with a name that is safe in a header and not a path.

    Raises:
        RequestError: The request has no file (the text is a guess).
    """
    upload = call.files.get("file")
    if upload is None or not upload.name:
        raise RequestError(400, "No valid file was uploaded")
    return _sanitize(upload)


def _sanitize(upload: Upload) -> EmbeddedFile:
    known = _MIME_TYPE.fullmatch(upload.mime_type)
    mime_type = upload.mime_type if known else "application/octet-stream"
    return EmbeddedFile(_INVALID_CHARACTERS.sub("_", upload.name), mime_type, upload.content)


def respond_with_file(file: EmbeddedFile) -> Response:
    """Return a response of a file; PHP sends the name as UTF-8, which headers do not allow."""
    name = file.name.encode(errors="replace").decode("latin-1")
    return Response(file.content, f'{file.mime_type}; name="{name}";charset=UTF-8')


def save_file(
    store: Store, project: StoredProject, row_key: RowKey, field: str, file: EmbeddedFile
) -> None:
    """Store a file in a field; the row is added if it does not exist."""
    store.save_values(project, [(row_key, {field: file.name})])
    row = store.find_row(project, row_key)
    with store.connection as database:
        database.execute(_TABLE)
        database.execute(
            "insert or replace into file values (?, ?, ?, ?, ?)",
            (row, field, file.name, file.mime_type, file.content),
        )


def save_embedded_files(store: Store, project: StoredProject, points: Iterable[DataPoint]) -> None:
    """Store the files that are embedded in a project XML."""
    with store.lock:
        for point in points:
            if point.file is not None:
                instance = (point.repeat_instrument, point.repeat_instance)
                row_key = RowKey(point.record, point.event, *instance)
                file = Upload(point.file.name, point.file.mime_type, point.file.content)
                save_file(store, project, row_key, point.field_name, _sanitize(file))


def load_files(store: Store, project: StoredProject) -> Mapping[tuple[int, str], EmbeddedFile]:
    """Return all files of a project by row and field."""
    store.connection.execute(_TABLE)
    found = store.connection.execute(
        "select file.row, field, file.name, mime_type, content from file"
        " join row on row.id = file.row"
        # An import can clear the field, which deletes the file.
        " join value on value.row = file.row and value.name = field where project = ?",
        (project.id,),
    )
    return {(row, field): EmbeddedFile(*file) for row, field, *file in found}


# -- handlers -------------------------------------------------------------------------------------


def export_file(call: Call) -> Response:
    """Handle ``content=file``, ``action=export``: the name is in the content type."""
    field, row_key = _find_field(call), _find_row_key(call)
    key = (call.store.find_row(call.project, row_key), field.field_name)
    file = load_files(call.store, call.project).get(key)
    if file is None:
        raise RequestError(400, "There is no file to download for this record")  # guess: 400
    return respond_with_file(file)


def import_file(call: Call) -> Response:
    """Handle ``action=import``: store the file; the record is created if it does not exist."""
    field, row_key = _find_field(call), _find_row_key(call)
    require_edit_rights(call.project.rights, [field.form_name])
    if field.validation == "signature":
        # Known is that it is refused; the text is a guess.
        raise RequestError(400, f"The field '{field.field_name}' is a signature field")
    new = not call.store.has_record(call.project, row_key.record)
    if new:
        require(call.project.rights.record_create, 403, "You do not have Create Record privileges")
    save_file(call.store, call.project, row_key, field.field_name, file := read_upload(call))
    done: Literal["Create", "Update"] = "Create" if new else "Update"
    return _log_and_respond(call, done, row_key.record, {field.field_name: file.name})


def delete_file(call: Call) -> Response:
    """Handle ``action=delete``: delete the file and clear the field."""
    require(call.project.rights.api_import, 403, "You do not have API Import/Update privileges")
    field, row_key = _find_field(call), _find_row_key(call)
    require_edit_rights(call.project.rights, [field.form_name])
    key = (call.store.find_row(call.project, row_key), field.field_name)
    if key not in load_files(call.store, call.project):
        raise RequestError(400, "There is no file to delete for this record")  # guess
    with call.store.connection as database:
        database.execute("delete from file where row = ? and field = ?", key)
    call.store.save_values(call.project, [(row_key, {field.field_name: ""})])
    return _log_and_respond(call, "Update", row_key.record, {field.field_name: ""})


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("file", "export"): export_file,
    ("file", "import"): import_file,
    ("file", "delete"): delete_file,
}


def _find_field(call: Call) -> Field:
    name = call.parameters.get_text("field")
    for field in call.project.structure.fields:
        if (field.field_name, field.field_type) == (name, "file"):
            hidden = call.project.rights.get_export_level(field.form_name) == NO_ACCESS
            require(not hidden, 403, "You do not have access to this form")  # guess
            return field
    raise RequestError(400, f"The field '{name}' does not exist or is not a 'file' field")


def _find_row_key(call: Call) -> RowKey:
    """Return the key of the requested row; the refusals of event and instance are guesses."""
    structure, parameters = call.project.structure, call.parameters
    record, event = parameters.get_text("record").strip(), parameters.get_text("event")
    parameters.get_known_names(
        "event", [row.unique_event_name for row in structure.events] or [event]
    )
    if not record or (structure.is_longitudinal and not event):
        raise RequestError(400, "The request does not name the record of the file, or its event")
    event = event if structure.is_longitudinal else ""
    number = parameters.get_text("repeat_instance", "1")
    if not (number.isascii() and number.isdecimal() and 0 < int(number[:6]) < 32768):
        raise RequestError(400, 'The value of the parameter "repeat_instance" is not valid')
    form = _find_field(call).form_name
    row_key = RowKey(record, event)
    if form in list_row_forms(structure, event, form):
        row_key = RowKey(record, event, form, int(number))
    elif event in structure.repeating_events:
        row_key = RowKey(record, event, "", int(number))
    if form not in list_row_forms(structure, event, row_key.instrument):
        raise RequestError(400, f"The instrument '{form}' is not designated for this event")
    own = call.project.rights.data_access_group
    group = call.store.list_access_groups(call.project).get(
        make_record_arm_reader(structure)(row_key), ""
    )
    if own and (group != own or not call.store.has_record(call.project, record)):
        raise RequestError(400, f'The record "{record}" does not exist')
    return row_key


def _log_and_respond(
    call: Call, done: Literal["Create", "Update"], record: str, values: Mapping[str, str]
) -> Response:
    """Log the change, and return a response without a body, as clients found it."""
    log_record(call, done, record, values)
    return respond_with_nothing(call)
