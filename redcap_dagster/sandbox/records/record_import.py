"""The record import: rows are placed, each value is looked at, and all is kept or nothing."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final
from xml.sax.saxutils import escape

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
    timestamp_column,
)
from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply, text_reply
from redcap_dagster.sandbox.calls.log import write_record_log
from redcap_dagster.sandbox.people.data_access_groups import groups_of
from redcap_dagster.sandbox.protocol.formats import XML
from redcap_dagster.sandbox.protocol.import_data import Row, read_rows
from redcap_dagster.sandbox.protocol.parameters import FORMATS, RequestError
from redcap_dagster.sandbox.records.calculations import recalculate
from redcap_dagster.sandbox.records.export import DELIMITERS
from redcap_dagster.sandbox.records.labels import event_labels
from redcap_dagster.sandbox.records.numbering import next_record_name
from redcap_dagster.sandbox.records.selection import subject_of
from redcap_dagster.sandbox.records.validation import DATE_FORMATS, import_value
from redcap_dagster.sandbox.store.loading import Cells, columns_of, stored
from redcap_dagster.sandbox.store.rights import require, require_to_edit
from redcap_dagster.sandbox.store.store import Place, forms_at

_EVENT, _FORM, _INSTANCE = EVENT_NAME, REPEAT_INSTRUMENT, REPEAT_INSTANCE

_NO_GROUP: Final = (
    "The value is not the unique name of a Data Access Group of the project."  # guess
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with one value, as REDCap tells it."""

    record: str = field(repr=False)
    field_name: str
    value: str = field(repr=False)
    message: str

    def __str__(self) -> str:
        cells = (self.record, self.field_name, self.value, self.message)
        return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


def import_records(call: Call) -> Reply:
    """Answer ``content=record``, ``action=import``."""
    parameters, structure = call.parameters, call.project.structure
    returned = parameters.choice("returnContent", ("count", "ids", "auto_ids", "nothing"), "count")
    overwrite = parameters.choice("overwriteBehavior", ("normal", "overwrite"), "normal")
    kind = parameters.choice("type", ("flat", "eav"), "flat")
    delimiter = DELIMITERS[parameters.choice("csvDelimiter", tuple(DELIMITERS), ",")]
    rows = read_rows(parameters.text("data"), call.format, delimiter)
    if kind == "eav":
        rows = [_flat(row, structure) for row in rows]
    _refuse_unknown_columns(call, rows)
    given: dict[str, str] = {}
    if parameters.flag("forceAutoNumber"):
        rows, given = _numbered(call, rows)
    cells = list(_cells(call, rows, overwrite == "overwrite"))
    records = list(dict.fromkeys(place.record for place, _ in cells))
    _save(call, cells, records)
    if parameters.flag("backgroundProcess"):
        return _reply(call, {"success": True}, "true", "<success>true</success>")  # guess
    match returned:
        case "count":
            number = str(len(records))
            return _reply(call, {"count": len(records)}, number, f"<count>{number}</count>")
        case "nothing":
            return _reply(call, {}, "", "")
        case "auto_ids" if given:
            records = [f"{new},{old}" for old, new in given.items()]
    ids = "".join(f"<id>{escape(record)}</id>" for record in records)  # guess
    lines = [f'"{record}"' if "," in record else record for record in records]
    return _reply(call, records, "\n".join(["id", *lines]), f"<ids>{ids}</ids>")


def _reply(call: Call, data: object, csv: str, xml: str) -> Reply:
    format_ = call.parameters.choice("returnFormat", FORMATS, call.format)
    text = {"json": json.dumps(data, ensure_ascii=False, separators=(",", ":")), "csv": csv}
    return text_reply(text.get(format_, XML + xml), format_)


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {("record", "import"): import_records}


# -- rows -----------------------------------------------------------------------------------------


def _flat(row: Row, structure: REDCapProject) -> Row:
    """A row of a single value as a flat row of that field alone."""
    if not {"record", "field_name", "value"} <= row.keys():
        raise RequestError(400, "The data is not in the specified format.")  # guess
    keys = {name: row[name] for name in (_EVENT, _FORM, _INSTANCE) if row.get(name, "") != ""}
    if row["field_name"] == structure.record_id_field:
        return {structure.record_id_field: row["record"], **keys}
    return {structure.record_id_field: row["record"], **keys, row["field_name"]: row["value"]}


def _refuse_unknown_columns(call: Call, rows: Iterable[Row]) -> None:
    structure = call.project.structure
    known = {structure.record_id_field, SURVEY_IDENTIFIER, *columns_of(structure)}
    known |= {_EVENT} if structure.is_longitudinal else set()
    known |= {_FORM, _INSTANCE} if structure.has_repeating else set()
    known |= {ACCESS_GROUP} if structure.has_access_groups else set()
    known |= {timestamp_column(form) for form in structure.surveys}
    if unknown := [name for name in dict.fromkeys(chain(*rows)) if name not in known]:
        # How several are listed is a guess.
        raise RequestError(
            400,
            "The following fields were not found in the project as real data fields: "
            + ", ".join(unknown),
        )


def _numbered(call: Call, rows: Sequence[Row]) -> tuple[list[Row], dict[str, str]]:
    """The rows with records numbered by the server, and the new name of each."""
    name = call.project.structure.record_id_field
    given: dict[str, str] = {}
    for row in rows:
        if (old := row.get(name, "")) not in given:
            given[old] = next_record_name(call, given.values())
    return [row | {name: given[row.get(name, "")]} for row in rows], given


# -- places ---------------------------------------------------------------------------------------


def _placer(call: Call, rows: Iterable[Row]) -> Callable[[Row], Place]:
    """Make what says where a row belongs.

    REDCap's words for what it refuses here are not known: all of these are guesses.
    """
    structure = call.project.structure
    newest: dict[tuple[str, str, str], int] = {}
    records = {row.get(structure.record_id_field, "").strip() for row in rows}
    for _, place in call.store.rows(call.project, tuple(records), ()):
        what = (place.record, place.event, place.instrument)
        newest[what] = max(place.instance, newest.get(what, 0))
    events = {event.unique_event_name for event in structure.events} or {""}

    def place_of(row: Row) -> Place:
        record = row.get(structure.record_id_field, "").strip()
        if not record:
            raise RequestError(
                400, f"A row has no value for the record id field, {structure.record_id_field}."
            )
        event, form = row.get(_EVENT, ""), row.get(_FORM, "")
        if event not in events:
            raise RequestError(400, f"The following event names are not valid: {event or 'blank'}")
        if form and not forms_at(structure, event, form):
            raise RequestError(400, "A row names a repeating instrument that does not repeat there")
        asked = row.get(_INSTANCE, "")
        last = newest.get((record, event, form), 0)
        if not (form or event in structure.repeating_events):
            if asked not in ("", "1"):
                raise RequestError(400, "A row has a repeat instance where nothing repeats")
            return Place(record, event)
        if asked == "new":
            instance = last + 1
        elif asked == "" and not form:
            instance = 1
        elif asked.isascii() and asked.isdecimal() and 0 < int(asked) < 32768:
            instance = int(asked)
        else:
            raise RequestError(400, "A row has no valid repeat instance")
        newest[record, event, form] = max(instance, last)
        return Place(record, event, form, instance)

    return place_of


# -- values ---------------------------------------------------------------------------------------


def _cells(call: Call, rows: Sequence[Row], overwrite: bool) -> Iterable[Cells]:
    """Each row's place and what is to be kept there; blanks only if they are to overwrite.

    Raises:
        RequestError: REDCap does not take one of them; nothing was kept.
    """
    structure = call.project.structure
    date_format = call.parameters.choice("dateFormat", DATE_FORMATS, "YMD")
    columns, place_of = columns_of(structure), _placer(call, rows)
    timestamps = {timestamp_column(form) for form in structure.surveys}
    groups = {"", *groups_of(call.store, call.project)}
    cells: dict[Place, dict[str, str]] = {}
    complaints: list[Complaint] = []
    for row in rows:
        place = place_of(row)
        own = cells.setdefault(place, {})
        here = forms_at(structure, place.event, place.instrument)
        for name, value in row.items():
            if value == "" and not overwrite:
                continue
            if name == ACCESS_GROUP:
                own[name] = value
                if value not in groups:
                    complaints.append(Complaint(place.record, name, value, _NO_GROUP))
            column = columns.get(name)
            # Calculations are the server's own, and so is what a survey tells of itself; a file is
            # neither brought nor taken away by data.
            if column is None or column.field.field_type == "calc" or name in timestamps:
                continue
            if column.field.field_type == "file" and value == "":
                continue
            try:
                if column.field.form_name not in here:
                    if value != "":
                        raise ValueError(_not_here(structure, column.field.form_name, place, name))
                    continue
                if value != "":
                    value = import_value(structure, column, value, date_format)
                own[name] = stored(column, value)
            except ValueError as error:
                complaints.append(Complaint(place.record, name, value, str(error)))
    if complaints:
        raise RequestError(400, "\n".join(map(str, complaints)))
    return cells.items()


def _not_here(structure: REDCapProject, form: str, place: Place, name: str) -> str:
    event = event_labels(structure).get(place.event, place.event)
    if structure.is_longitudinal and form not in {
        row.form for row in structure.form_events if row.unique_event_name == place.event
    }:
        return (
            f"This field ('{name}') exists on an instrument that is not designated for the event "
            f"named '{event}'. You are not allowed to import data for this field into this event."
        )
    # Guess.
    return f"This field ('{name}') exists on an instrument that the row is not an instance of."


# -- keeping --------------------------------------------------------------------------------------


def _save(call: Call, cells: Sequence[Cells], records: Sequence[str]) -> None:
    """Keep it and log it, if the user may: all that is refused here is refused before."""
    structure, rights = call.project.structure, call.project.rights
    columns = columns_of(structure)
    changed_columns = {name for _, values in cells for name in values} & columns.keys()
    require_to_edit(rights, (columns[name].field.form_name for name in changed_columns))
    subject, groups = subject_of(structure), call.store.access_groups(call.project)
    found = {place: number for number, place in call.store.rows(call.project, records, ())}
    there = {place.record for place in found}
    if set(records) - there:
        # Guess, by the text for the deletion of records.
        require(rights.record_create, 403, "You do not have Create Record privileges")
    if own := rights.data_access_group:
        others = [p for p in found if groups.get(subject(p)) != own]
        if others or any(ACCESS_GROUP in values for _, values in cells):
            raise RequestError(
                400, "Records of other Data Access Groups cannot be changed, nor can groups be set."
            )  # guess
        cells = [(place, {**values, ACCESS_GROUP: own}) for place, values in cells]
    before: dict[int, dict[str, str]] = {}
    names = tuple({name for _, values in cells for name in values})
    for number, name, value in call.store.values(call.project, records, (), names):
        before.setdefault(number, {})[name] = value
    call.store.save(call.project, cells)
    recalculate(call.store, call.project, records)
    for place, values in cells:
        known = before.get(found.get(place, 0), {})
        if group := groups.get(subject(place)):
            known = known | {ACCESS_GROUP: group}
        changed = {name: value for name, value in values.items() if value != known.get(name, "")}
        if place.record not in there:
            there.add(place.record)
            id_field = {structure.record_id_field: place.record}
            changed = id_field | changed
            write_record_log(call.store, call.project, "Create", place.record, changed, how="(API)")
        elif changed or place not in found:
            # Guess, by the text for created ones.
            write_record_log(call.store, call.project, "Update", place.record, changed, how="(API)")
