"""The record import: each value is validated, and all values are stored or none."""

import json
from collections.abc import Iterable, Mapping, Sequence
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
from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_text
from redcap_dagster.sandbox.calls.log import log_record
from redcap_dagster.sandbox.people.data_access_groups import load_groups
from redcap_dagster.sandbox.protocol.formats import XML_DECLARATION
from redcap_dagster.sandbox.protocol.import_data import Row, read_rows
from redcap_dagster.sandbox.protocol.parameters import FORMATS, RequestError
from redcap_dagster.sandbox.records.calculations import recalculate
from redcap_dagster.sandbox.records.export import read_delimiter
from redcap_dagster.sandbox.records.labels import build_event_labels
from redcap_dagster.sandbox.records.record_import.refusals import ImportRefusedError, InvalidValue
from redcap_dagster.sandbox.records.record_import.row_keys import make_row_key_reader
from redcap_dagster.sandbox.records.record_import.values import DATE_FORMATS, validate_import_value
from redcap_dagster.sandbox.records.record_names import find_next_record_name
from redcap_dagster.sandbox.records.selection import make_record_arm_reader
from redcap_dagster.sandbox.store.columns import index_columns, to_stored_value
from redcap_dagster.sandbox.store.loading import Cells
from redcap_dagster.sandbox.store.rights import require, require_edit_rights
from redcap_dagster.sandbox.store.row_keys import RowKey, list_row_forms

_EVENT, _FORM, _INSTANCE = EVENT_NAME, REPEAT_INSTRUMENT, REPEAT_INSTANCE

_NO_GROUP: Final = (
    "The value is not the unique name of a Data Access Group of the project."  # guess
)


def import_records(call: Call) -> Response:
    """Handle ``content=record``, ``action=import``."""
    parameters, structure = call.parameters, call.project.structure
    returned = parameters.get_choice(
        "returnContent", ("count", "ids", "auto_ids", "nothing"), "count"
    )
    overwrite = parameters.get_choice("overwriteBehavior", ("normal", "overwrite"), "normal")
    kind = parameters.get_choice("type", ("flat", "eav"), "flat")
    rows = read_rows(parameters.get_text("data"), call.format, read_delimiter(parameters))
    if kind == "eav":
        rows = [_flatten(row, structure) for row in rows]
    _refuse_unknown_columns(call, rows)
    given: dict[str, str] = {}
    if parameters.get_flag("forceAutoNumber"):
        rows, given = _number_records(call, rows)
    cells = list(_read_cells(call, rows, overwrite == "overwrite"))
    records = list(dict.fromkeys(row_key.record for row_key, _ in cells))
    _save(call, cells, records)
    if parameters.get_flag("backgroundProcess"):
        return _respond(call, {"success": True}, "true", "<success>true</success>")  # guess
    match returned:
        case "count":
            number = str(len(records))
            return _respond(call, {"count": len(records)}, number, f"<count>{number}</count>")
        case "nothing":
            return _respond(call, {}, "", "")
        case "auto_ids" if given:
            records = [f"{new},{old}" for old, new in given.items()]
    ids = "".join(f"<id>{escape(record)}</id>" for record in records)  # guess
    lines = [f'"{record}"' if "," in record else record for record in records]
    return _respond(call, records, "\n".join(["id", *lines]), f"<ids>{ids}</ids>")


def _respond(call: Call, data: object, csv: str, xml: str) -> Response:
    format_ = call.parameters.get_choice("returnFormat", FORMATS, call.format)
    text = {"json": json.dumps(data, ensure_ascii=False, separators=(",", ":")), "csv": csv}
    return respond_with_text(text.get(format_, XML_DECLARATION + xml), format_)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {("record", "import"): import_records}


# -- rows -----------------------------------------------------------------------------------------


def _flatten(row: Row, structure: REDCapProject) -> Row:
    """Return a row of a single value as a flat row with that field alone."""
    if not {"record", "field_name", "value"} <= row.keys():
        raise RequestError(400, "The data is not in the specified format.")  # guess
    keys = {name: row[name] for name in (_EVENT, _FORM, _INSTANCE) if row.get(name, "") != ""}
    if row["field_name"] == structure.record_id_field:
        return {structure.record_id_field: row["record"], **keys}
    return {structure.record_id_field: row["record"], **keys, row["field_name"]: row["value"]}


def _refuse_unknown_columns(call: Call, rows: Iterable[Row]) -> None:
    structure = call.project.structure
    known = {structure.record_id_field, SURVEY_IDENTIFIER, *index_columns(structure)}
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


def _number_records(call: Call, rows: Sequence[Row]) -> tuple[list[Row], dict[str, str]]:
    """Return the rows with record names of the server, and the new name of each record."""
    name = call.project.structure.record_id_field
    given: dict[str, str] = {}
    for row in rows:
        if (old := row.get(name, "")) not in given:
            given[old] = find_next_record_name(call, given.values())
    return [row | {name: given[row.get(name, "")]} for row in rows], given


# -- values ---------------------------------------------------------------------------------------


def _read_cells(call: Call, rows: Sequence[Row], overwrite: bool) -> Iterable[Cells]:
    """Return the values to store by row key; blanks only with ``overwrite``.

    Raises:
        RequestError: A value is invalid; nothing was stored.
    """
    structure = call.project.structure
    date_format = call.parameters.get_choice("dateFormat", DATE_FORMATS, "YMD")
    columns, read_row_key = index_columns(structure), make_row_key_reader(call, rows)
    timestamps = {timestamp_column(form) for form in structure.surveys}
    groups = {"", *load_groups(call.store, call.project)}
    cells: dict[RowKey, dict[str, str]] = {}
    invalid: list[InvalidValue] = []
    for row in rows:
        try:
            row_key = read_row_key(row)
        except ImportRefusedError as refused:
            invalid.extend(refused.invalid)
            continue
        own = cells.setdefault(row_key, {})
        row_forms = list_row_forms(structure, row_key.event, row_key.instrument)
        for name, value in row.items():
            if value == "" and not overwrite:
                continue
            if name == ACCESS_GROUP:
                own[name] = value
                if value not in groups:
                    invalid.append(InvalidValue(row_key.record, name, value, _NO_GROUP))
            column = columns.get(name)
            # Calculations and survey timestamps come from the server, and import data neither adds
            # nor removes files.
            if column is None or column.field.field_type == "calc" or name in timestamps:
                continue
            if column.field.field_type == "file" and value == "":
                continue
            try:
                if column.field.form_name not in row_forms:
                    if value != "":
                        raise ValueError(
                            _explain_missing_form(structure, column.field.form_name, row_key, name)
                        )
                    continue
                if value != "":
                    value = validate_import_value(structure, column, value, date_format)
                own[name] = to_stored_value(column, value)
            except ValueError as error:
                invalid.append(InvalidValue(row_key.record, name, value, str(error)))
    if invalid:
        raise ImportRefusedError(invalid)
    return cells.items()


def _explain_missing_form(structure: REDCapProject, form: str, row_key: RowKey, name: str) -> str:
    event = build_event_labels(structure).get(row_key.event, row_key.event)
    if structure.is_longitudinal and form not in {
        row.form for row in structure.form_events if row.unique_event_name == row_key.event
    }:
        return (
            f"This field ('{name}') exists on an instrument that is not designated for the event "
            f"named '{event}'. You are not allowed to import data for this field into this event."
        )
    # Guess.
    return f"This field ('{name}') exists on an instrument that the row is not an instance of."


# -- storing --------------------------------------------------------------------------------------


def _save(call: Call, cells: Sequence[Cells], records: Sequence[str]) -> None:
    """Store and log the values; refusals come before anything is stored."""
    structure, rights = call.project.structure, call.project.rights
    columns = index_columns(structure)
    changed_columns = {name for _, values in cells for name in values} & columns.keys()
    require_edit_rights(rights, (columns[name].field.form_name for name in changed_columns))
    get_record_arm, groups = (
        make_record_arm_reader(structure),
        call.store.list_access_groups(call.project),
    )
    found = {row_key: number for number, row_key in call.store.find_rows(call.project, records, ())}
    existing = {row_key.record for row_key in found}
    if set(records) - existing:
        # Guess, by the text for the deletion of records.
        require(rights.record_create, 403, "You do not have Create Record privileges")
    if own := rights.data_access_group:
        others = [p for p in found if groups.get(get_record_arm(p)) != own]
        if others or any(ACCESS_GROUP in values for _, values in cells):
            raise RequestError(
                400, "Records of other Data Access Groups cannot be changed, nor can groups be set."
            )  # guess
        cells = [(row_key, {**values, ACCESS_GROUP: own}) for row_key, values in cells]
    before: dict[int, dict[str, str]] = {}
    names = tuple({name for _, values in cells for name in values})
    for number, name, value in call.store.find_values(call.project, records, (), names):
        before.setdefault(number, {})[name] = value
    call.store.save_values(call.project, cells)
    recalculate(call.store, call.project, records)
    for row_key, values in cells:
        known = before.get(found.get(row_key, 0), {})
        if group := groups.get(get_record_arm(row_key)):
            known = known | {ACCESS_GROUP: group}
        changed = {name: value for name, value in values.items() if value != known.get(name, "")}
        if row_key.record not in existing:
            existing.add(row_key.record)
            id_field = {structure.record_id_field: row_key.record}
            changed = id_field | changed
            log_record(call, "Create", row_key.record, changed)
        elif changed or row_key not in found:
            # Guess, by the text for created ones.
            log_record(call, "Update", row_key.record, changed)
