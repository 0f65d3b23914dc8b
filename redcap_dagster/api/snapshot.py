"""The records of a project as of one moment: exported whole, and held against the census."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.census import check_complete, read_census
from redcap_dagster.api.exports import (
    RecordSelection,
    check_selection,
    csv_export,
    read_records,
    with_record_id,
)
from redcap_dagster.api.structure import ProjectStructure
from redcap_dagster.api.transport import Transport

_ACCESS_GROUP = "redcap_data_access_group"


@dataclass(frozen=True)
class RecordExport:
    """Records that were exported whole, and how.

    Attributes:
        table: The block matrix: a row per record, event and instance, in REDCap's own order.
        census: The records and events that REDCap listed, of those that were asked for.
        parameters: What was asked for, as REDCap's API Playground shows it; without token, record
            ids, and the values that a filter compares with.
        began: When the first request was sent, in UTC.
        requests: How many requests it took, the census among them.
        consistent: Whether the table is the truth of one moment.
        notes: What the reader of the table should know, in plain sentences.
    """

    table: pa.Table = field(repr=False)
    census: pa.Table = field(repr=False)
    parameters: Mapping[str, str]
    began: datetime
    requests: int
    consistent: bool = True
    notes: tuple[str, ...] = ()


def take_snapshot(
    transport: Transport, structure: ProjectStructure, selection: RecordSelection
) -> RecordExport:
    """Export records, and make sure that each record of the census is there.

    Raises:
        IncompleteExportError: Records are missing.
        REDCapError: Of the type that says what is wrong.
    """
    began = datetime.now(UTC)
    record_id_field = structure.record_id_field
    census = _of_records(read_census(transport, record_id_field), selection, record_id_field)
    parameters = check_selection(**selection)
    if _ACCESS_GROUP not in census.column_names:
        parameters.pop("exportDataAccessGroups", None)  # who may not see them is refused
    parameters = with_record_id(parameters, record_id_field)
    table = read_records(transport, parameters, record_id_field)
    events = _events(structure, selection)
    check_complete(transport, table, census, events, record_id_field)
    return RecordExport(table, census, _shown(csv_export(parameters)), began, requests=2)


def _of_records(census: pa.Table, selection: RecordSelection, record_id_field: str) -> pa.Table:
    records = selection.get("records")
    if records is None:
        return census
    wanted = pa.array([str(record) for record in records], pa.string())
    return census.filter(pc.is_in(census[record_id_field], wanted))


def _events(structure: ProjectStructure, selection: RecordSelection) -> Sequence[str] | None:
    """Name the events that must be there: those asked for, or those of the forms asked for."""
    if events := selection.get("events"):
        return events
    if not (forms := selection.get("forms")) or not structure.events:
        return None
    project = structure.project()
    return sorted({event for form in forms for event in project.events_of(form)})


def _shown(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Leave out of the parameters what is somebody's data.

    Example:
        >>> _shown({"records[0]": "7", "filterLogic": "[age] > 40 and [name] = 'Eve'"})
        {'filterLogic': '[age] > … and [name] = …'}
    """
    kept = {name: value for name, value in parameters.items() if not name.startswith("records[")}
    if "filterLogic" in kept:
        kept["filterLogic"] = _LITERAL.sub("…", kept["filterLogic"])
    return kept


# Texts in quotes, and numbers; not what stands in brackets, which names a field.
_LITERAL = re.compile(r"""'[^']*'|"[^"]*"|(?<![\w\[(])\d[\w.]*(?![^\[]*\])""")
