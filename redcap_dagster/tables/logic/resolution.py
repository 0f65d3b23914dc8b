"""The values of references and smart variables, one for each row of an instrument."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Column
from redcap_dagster.project.columns import is_status_field
from redcap_dagster.project.logic import Reference, SmartVariable
from redcap_dagster.project.logic.events import find_event
from redcap_dagster.project.system_columns import ACCESS_GROUP, HASHED_ID
from redcap_dagster.tables.logic.row_search import FoundRows, find_rows
from redcap_dagster.tables.logic.study import StudyRows

_COMMA: Final = "_comma_decimal"
_NULL: Final = pa.scalar(None, pa.string())
_SMART_EVENTS: Final = tuple(
    f"{which}-event-name" for which in ("first", "last", "previous", "next")
)


def resolve(study: StudyRows, reference: Reference, instrument: str) -> pa.StringArray:
    """Return the value of a reference in each row of an instrument, as text.

    Args:
        study: The rows of all instruments.
        reference: The reference.
        instrument: Instrument of the rows.

    Returns:
        One text for each row of ``study.tables[instrument]``: ``""`` for a blank, null where the
        value cannot be said, because the project does not have the field, its values are hidden,
        or it is not certain which row is meant.

    Example:
        >>> from redcap_dagster.project import REDCapProject
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"}, {"field_name": "sex", "form_name": "a"},
        ...     {"field_name": "due", "form_name": "b"}])
        >>> study = StudyRows(project, {
        ...     "a": pa.table({"id": ["1", "2"], "sex": ["2", None]}),
        ...     "b": pa.table({"id": ["2", "1", "3"], "due": ["x", "y", "z"]})})
        >>> resolve(study, Reference("sex"), "b").to_pylist()
        ['', '2', '']
    """
    project = study.project
    if reference.field == project.record_id_field and reference.code is None:
        return _read_record_ids(study, instrument)
    column = find_column(study, reference)
    form = column.field.form_name if column else ""
    if (
        column is None
        or form not in study.tables
        or column.name not in study.tables[form].schema.names
    ):
        return pa.nulls(study.count_rows(instrument), pa.string())
    default = "0" if column.choice or is_status_field(column.field) else ""
    values = pc.fill_null(study.read_column(form, column.name), default)
    if column.field.validation.endswith(_COMMA):
        values = pc.replace_substring(values, ",", ".")
    found = find_rows(study, instrument, form, reference.event, reference.instance)
    return values if found is None else _take(values, found, default)


def _read_record_ids(study: StudyRows, instrument: str) -> pa.StringArray:
    """Return the record ids, null where REDCap sent hashes instead of them."""
    ids = study.read_column(instrument, study.project.record_id_field)
    if not study.project.fields[0].is_identifier:
        return ids
    return pc.if_else(pc.match_substring_regex(ids, HASHED_ID), _NULL, ids)


def find_column(study: StudyRows, reference: Reference) -> Column | None:
    """Return the export column that a reference names, or None if the project does not have it.

    Args:
        study: The rows of all instruments.
        reference: The reference.
    """
    name = reference.field
    if reference.code is not None:
        name = study.project.export_column(reference.field, reference.code)
    column = study.columns.get(name)
    if column is None or column.field.field_name != reference.field:
        return None
    return column if (column.choice is None) == (reference.code is None) else None


def names_field(study: StudyRows, reference: Reference) -> bool:
    """Return whether a reference names a field, or an option, that the project has.

    Args:
        study: The rows of all instruments.
        reference: The reference.
    """
    is_id = reference.field == study.project.record_id_field and reference.code is None
    return is_id or find_column(study, reference) is not None


def _take(values: pa.StringArray, found: FoundRows, default: str) -> pa.StringArray:
    taken = values.take(pa.array(found.at, mask=found.at < 0))
    if default and found.unsaved.any():
        taken = pc.if_else(pa.array(found.unsaved), default, taken)
    taken = pc.fill_null(taken, "")
    return pc.if_else(pa.array(found.unknown), _NULL, taken) if found.unknown.any() else taken


def resolve_smart_variable(
    study: StudyRows, variable: SmartVariable, instrument: str
) -> pa.StringArray:
    """Return the value of a smart variable in each row of an instrument, as text.

    What depends on the user, the server or a survey's response is null: it cannot be said. So is
    the instance of a row that does not have one.

    Args:
        study: The rows of all instruments.
        variable: The smart variable.
        instrument: Instrument of the rows.
    """
    project, keys, count = study.project, study.find_keys(instrument), study.count_rows(instrument)
    if variable.arguments or variable.event or variable.instance:
        return pa.nulls(count, pa.string())
    match variable.name:
        case "record-name":
            return _read_record_ids(study, instrument)
        case "record-dag-name" if ACCESS_GROUP in study.tables[instrument].column_names:
            return pc.fill_null(study.read_column(instrument, ACCESS_GROUP), "")
        case "project-id" if project.info.project_id is not None:
            return pa.repeat(str(project.info.project_id), count)
        case "instrument-name":
            return pa.repeat(instrument, count)
        case "current-instance":
            return pa.array(np.char.mod("%d", keys.instance), pa.string(), mask=keys.instance == 0)
    by_event = {name: _describe_event(study, variable.name, name) for name in study.events}
    texts = pa.array([*by_event.values(), None], pa.string())
    return texts.take(pa.array(keys.event))


def _describe_event(study: StudyRows, variable: str, event: str) -> str | None:
    """Return the value of a smart variable in the rows of an event; None if it cannot be said."""
    project = study.project
    if not project.is_longitudinal:
        return None
    found = project.events[study.events[event]]
    match variable:
        case "event-name":
            return event
        case "event-label":
            return found.event_name
        case "arm-number":
            return str(found.arm_num)
        case "arm-label":
            return {arm.arm_num: arm.name for arm in project.arms}.get(found.arm_num)
        case name if name in _SMART_EVENTS:
            return find_event(project, name, event, None) or ""
    return None
