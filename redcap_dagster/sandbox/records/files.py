"""The files of file and signature fields: kept with their value, gone with it, in memory only."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from redcap_dagster.project import Field
from redcap_dagster.project.xml.reader import DataPoint, EmbeddedFile
from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply, Upload, text_reply
from redcap_dagster.sandbox.calls.log import write_record_log
from redcap_dagster.sandbox.protocol.parameters import FORMATS, RequestError
from redcap_dagster.sandbox.records.selection import subject_of
from redcap_dagster.sandbox.store.rights import NO_ACCESS, require, require_to_edit
from redcap_dagster.sandbox.store.store import Place, Store, StoredProject, forms_at

_TABLE: Final = """
create table if not exists file (
    row integer not null, field text not null, name text not null, mime_type text not null,
    content blob not null, primary key (row, field),
    foreign key (row, field) references value (row, name) on delete cascade
) without rowid
"""
_MIME_TYPE: Final = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+")
_UNFIT: Final = re.compile(r'[\x00-\x1f\x7f"/\\]')


# -- keeping --------------------------------------------------------------------------------------


def uploaded(call: Call) -> EmbeddedFile:
    """The file of a request, with a name that is no path and fits into a header.

    Raises:
        RequestError: There is none (the text is a guess).
    """
    upload = call.files.get("file")
    if upload is None or not upload.name:
        raise RequestError(400, "No valid file was uploaded")
    return _tamed(upload)


def _tamed(upload: Upload) -> EmbeddedFile:
    known = _MIME_TYPE.fullmatch(upload.mime_type)
    mime_type = upload.mime_type if known else "application/octet-stream"
    return EmbeddedFile(_UNFIT.sub("_", upload.name), mime_type, upload.content)


def file_reply(file: EmbeddedFile) -> Reply:
    """Reply with a file. PHP sends a name as its bytes are, which no header officially holds."""
    name = file.name.encode(errors="replace").decode("latin-1")
    return Reply(file.content, f'{file.mime_type}; name="{name}";charset=UTF-8')


def keep_file(
    store: Store, project: StoredProject, place: Place, field: str, file: EmbeddedFile
) -> None:
    """Keep a file in a field; its row is made if it is not there."""
    store.save(project, [(place, {field: file.name})])
    rows = store.rows(project, (place.record,), ())
    (row,) = (number for number, other in rows if other == place)
    with store.connection as database:
        database.execute(_TABLE)
        database.execute(
            "insert or replace into file values (?, ?, ?, ?, ?)",
            (row, field, file.name, file.mime_type, file.content),
        )


def keep_embedded(store: Store, project: StoredProject, points: Iterable[DataPoint]) -> None:
    """Keep the files that a project XML has in it."""
    with store.lock:
        for point in points:
            if point.file is not None:
                instance = (point.repeat_instrument, point.repeat_instance)
                place = Place(point.record, point.event, *instance)
                file = Upload(point.file.name, point.file.mime_type, point.file.content)
                keep_file(store, project, place, point.field_name, _tamed(file))


def files_of(store: Store, project: StoredProject) -> Mapping[tuple[int, str], EmbeddedFile]:
    """All files of a project by row and field."""
    store.connection.execute(_TABLE)
    found = store.connection.execute(
        "select file.row, field, file.name, mime_type, content from file"
        " join row on row.id = file.row"
        # An import can blank the field, and then the file is gone.
        " join value on value.row = file.row and value.name = field where project = ?",
        (project.id,),
    )
    return {(row, field): EmbeddedFile(*file) for row, field, *file in found}


# -- answering ------------------------------------------------------------------------------------


def export_file(call: Call) -> Reply:
    """Answer ``content=file``: the bytes, with the name in the content type."""
    field, place = _field(call), _place(call)
    rows = {other: number for number, other in call.store.rows(call.project, (place.record,), ())}
    file = files_of(call.store, call.project).get((rows.get(place, 0), field.field_name))
    if file is None:
        raise RequestError(400, "There is no file to download for this record")  # guess: 400
    return file_reply(file)


def import_file(call: Call) -> Reply:
    """Answer ``action=import``: keep the file; a record that is not there is made."""
    field, place = _field(call), _place(call)
    require_to_edit(call.project.rights, [field.form_name])
    if field.validation == "signature":
        # Known is that it is refused; the text is a guess.
        raise RequestError(400, f"The field '{field.field_name}' is a signature field")
    new = not call.store.has(call.project, place.record)
    if new:
        require(call.project.rights.record_create, 403, "You do not have Create Record privileges")
    keep_file(call.store, call.project, place, field.field_name, file := uploaded(call))
    done: Literal["Create", "Update"] = "Create" if new else "Update"
    return _done(call, done, place.record, {field.field_name: file.name})


def delete_file(call: Call) -> Reply:
    """Answer ``action=delete``: the field is blank afterwards."""
    require(call.project.rights.api_import, 403, "You do not have API Import/Update privileges")
    field, place = _field(call), _place(call)
    require_to_edit(call.project.rights, [field.form_name])
    rows = {other: number for number, other in call.store.rows(call.project, (place.record,), ())}
    key = (rows.get(place, 0), field.field_name)
    if key not in files_of(call.store, call.project):
        raise RequestError(400, "There is no file to delete for this record")  # guess
    with call.store.connection as database:
        database.execute("delete from file where row = ? and field = ?", key)
    call.store.save(call.project, [(place, {field.field_name: ""})])
    return _done(call, "Update", place.record, {field.field_name: ""})


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    ("file", "export"): export_file,
    ("file", "import"): import_file,
    ("file", "delete"): delete_file,
}


def _field(call: Call) -> Field:
    asked = call.parameters.text("field")
    for field in call.project.structure.fields:
        if (field.field_name, field.field_type) == (asked, "file"):
            hidden = call.project.rights.export_level(field.form_name) == NO_ACCESS
            require(not hidden, 403, "You do not have access to this form")  # guess
            return field
    raise RequestError(400, f"The field '{asked}' does not exist or is not a 'file' field")


def _place(call: Call) -> Place:
    """Where the file is; that a wrong event or instance is refused so is a guess."""
    structure, asked = call.project.structure, call.parameters
    record, event = asked.text("record").strip(), asked.text("event")
    asked.known("event", [row.unique_event_name for row in structure.events] or [event])
    if not record or (structure.is_longitudinal and not event):
        raise RequestError(400, "The record of the file is not named, or its event is not")
    event = event if structure.is_longitudinal else ""
    number = asked.text("repeat_instance", "1")
    if not (number.isascii() and number.isdecimal() and 0 < int(number[:6]) < 32768):
        raise RequestError(400, 'The value of the parameter "repeat_instance" is not valid')
    form = _field(call).form_name
    place = Place(record, event)
    if form in forms_at(structure, event, form):
        place = Place(record, event, form, int(number))
    elif event in structure.repeating_events:
        place = Place(record, event, "", int(number))
    if form not in forms_at(structure, event, place.instrument):
        raise RequestError(400, f"The instrument '{form}' is not designated for this event")
    own = call.project.rights.data_access_group
    group = call.store.access_groups(call.project).get(subject_of(structure)(place), "")
    if own and (group != own or not call.store.has(call.project, record)):
        raise RequestError(400, f'The record "{record}" does not exist')
    return place


def _done(
    call: Call, done: Literal["Create", "Update"], record: str, values: Mapping[str, str]
) -> Reply:
    """Log it, and reply with an empty body, as clients found it."""
    write_record_log(call.store, call.project, done, record, values, how="(API)")
    return text_reply("", call.parameters.choice("returnFormat", FORMATS, call.format))
