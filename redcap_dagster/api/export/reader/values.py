"""The single values of a record export (``type=eav``): one row per value."""

import logging
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.export.reader.csv_reader import collect_batches, open_csv
from redcap_dagster.api.export.reader.records import fetch_parts
from redcap_dagster.api.export.reader.requested import Requested
from redcap_dagster.api.export.reader.row_keys import REQUEST, check_record_ids, key_error
from redcap_dagster.api.export.reader.selection import get_delimiter
from redcap_dagster.api.http.response import Response, malformed_error
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_COLUMNS

logger = logging.getLogger("redcap_dagster.api")

_RECORD, _FIELD, _VALUE = "record", "field_name", "value"


def read_values(
    transport: Transport, parameters: dict[str, str], project: REDCapProject
) -> pa.Table:
    """Return exported values as a table: one row per value; a checkbox may have several rows.

    Values of fields that were not requested are left out. If the parameters name more records than
    one request may, several are sent.

    Raises:
        MalformedResponseError: Rows have no record id, or are duplicate rows.
        ResponseMismatchError: Rows were not requested.
        REDCapError: The request failed. The type says why.
    """

    def receive(response: Response, part: Mapping[str, str], requested: Requested) -> pa.Table:
        received = open_csv(response, _RECORD, get_delimiter(part))
        if lacking := {_FIELD, _VALUE}.difference(received.columns):
            raise malformed_error(response, f"its header lacks {' and '.join(sorted(lacking))}")
        rows = collect_batches(response, check_record_ids(received.batches, _RECORD))
        requested.check_records_and_events(rows)
        return _keep_requested(rows, requested, project, part)

    tables = fetch_parts(transport, parameters, receive, _RECORD, project)
    rows = pa.concat_tables(tables, promote_options="default")
    if parameters.get("rawOrLabel") != "label":  # choices may share a label
        _check_duplicates(rows, project)
    return rows


def _keep_requested(
    rows: pa.Table, requested: Requested, project: REDCapProject, parameters: Mapping[str, str]
) -> pa.Table:
    """Return the values of the requested fields, with the columns that REDCap documents."""
    names = rows[_FIELD].unique().to_pylist()
    other = {*requested.find_other([str(name) for name in names])}
    # A checkbox is called by its own name, or by that of a column.
    other -= {*(requested.columns.fields if requested.columns else ())}
    id_field, lists = project.fields[0], ("fields[", "forms[")
    asked = {value for name, value in parameters.items() if name.startswith(lists)}
    if not asked or asked & {id_field.field_name, id_field.form_name}:
        other.discard(id_field.field_name)
    if other:
        logger.warning("%s: values of %d fields not requested are left out", REQUEST, len(other))
        rows = rows.filter(pc.invert(pc.is_in(rows[_FIELD], pa.array([*other], pa.string()))))
    columns = (_RECORD, EVENT_NAME, *REPEAT_COLUMNS, _FIELD, _VALUE)
    return rows.select([name for name in columns if name in rows.column_names])


def _check_duplicates(rows: pa.Table, project: REDCapProject) -> None:
    """Raise if a field has two values in one place, or a checkbox twice the same.

    Raises:
        MalformedResponseError: It has.
    """
    boxes = [one.field_name for one in project.fields if one.field_type == "checkbox"]
    keys = [name for name in rows.column_names if name != _VALUE]
    for in_box, names in ((True, rows.column_names), (False, keys)):
        if _FIELD in rows.column_names:
            own = pc.is_in(rows[_FIELD], pa.array(boxes, pa.string()))
            some = rows.filter(own if in_box else pc.invert(own))
            distinct = some.group_by(names).aggregate([]).num_rows
            if distinct < some.num_rows:
                raise key_error(0, some.num_rows - distinct)
