"""What was saved, of what the project expects: one row per record, event, instrument, instance."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.markdown import build_markdown_table
from redcap_dagster.project import Event, REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_INSTANCE,
    status_column,
)

NOT_SAVED: Final = "not saved"
STATUSES: Final = ("incomplete", "unverified", "complete")
"""The status of a saved instrument, by its code in REDCap."""

STATUS_SCHEMA: Final = pa.schema(
    {
        "record": pa.string(),
        "event": pa.string(),
        "instance": pa.int64(),
        "access_group": pa.string(),
        "instrument": pa.string(),
        "status": pa.string(),
        "open_queries": pa.int64(),
    }
)

STATUS_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "record": "Record id",
    "event": "Unique event name; null in a classic project",
    "instance": "Number of the instance; null where none is saved, or nothing repeats",
    "access_group": "Data access group of the record; null without one, or if the token may not "
    "read groups",
    "instrument": "Name of the instrument",
    "status": "not saved, incomplete, unverified or complete; null where export rights hide it",
    "open_queries": "Number of rows in the open list of queries; null without such a list",
}
"""What each column holds, for Dagster's catalog and the warehouse."""

_NO_NUMBER: Final = pa.scalar(None, pa.int64())
_BAR: Final = 10
"""Number of characters of a whole bar."""


def build_status(
    census: pa.Table,
    records: Mapping[str, pa.Table],
    project: REDCapProject,
    *,
    hidden: Collection[str] = (),
    queries: pa.Table | None = None,
) -> pa.Table:
    """Return the status of each instrument, of each record and event for which it is designated.

    Each instance of a repeating instrument or event has a row of its own. Where there is no
    instance, one row without a number says that none was saved. A record is expected in all events
    of the arms in which REDCap lists it.

    Args:
        census: The records and events that REDCap lists, as `census_table` returns them.
        records: Records of instruments, as text, by instrument. Other instruments have no rows.
        project: Structure of the project.
        hidden: Columns that export rights hide. Defaults to none.
        queries: The open list of queries. Defaults to none: numbers of queries are then null.

    Returns:
        Record, event (null in a classic project), instance, access group, instrument, status, and
        number of open queries. The status is ``not saved``, ``incomplete``, ``unverified`` or
        ``complete``; it is null where export rights hide it.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "a"}])
        >>> records = pa.table({"id": ["1"], "a_complete": ["2"]})
        >>> status = build_status(pa.table({"id": ["1", "2"]}), {"a": records}, project)
        >>> status["status"].to_pylist()
        ['complete', 'not saved']
    """
    events = [row.unique_event_name for row in project.events] or [""]
    listed = {event: _list_records(census, event, project) for event in events}
    blocks = [
        block
        for event in events
        for block in _build_event(event, listed[event], records, project, hidden)
    ]
    if not blocks:
        return STATUS_SCHEMA.empty_table()
    table = pa.concat_tables(blocks)
    table = table.append_column("access_group", _find_groups(table, census, project))
    table = table.append_column("open_queries", _count_queries(table, queries))
    ids = census[project.record_id_field].unique()
    order = pc.index_in(table["record"], value_set=ids)  # else the order of the blocks
    table = table.append_column("_record", order).append_column("_row", pa.array(range(len(table))))
    return table.sort_by([("_record", "ascending"), ("_row", "ascending")]).select(
        STATUS_SCHEMA.names
    )


def _list_records(census: pa.Table, event: str, project: REDCapProject) -> pa.ChunkedArray:
    """Return the records that are expected in an event: those of its arm, each once."""
    if not event:
        return census[project.record_id_field].unique()
    arms = {row.unique_event_name: row.arm_num for row in project.events}
    same_arm = [name for name, arm in arms.items() if arm == arms[event]]
    inside = pc.is_in(census[EVENT_NAME], value_set=pa.array(same_arm, pa.string()))
    return census[project.record_id_field].filter(inside).unique()


def _build_event(
    event: str,
    listed: pa.Array,
    records: Mapping[str, pa.Table],
    project: REDCapProject,
    hidden: Collection[str],
) -> Iterator[pa.Table]:
    """Yield the rows of each instrument in one event."""
    forms = [
        form.instrument_name
        for form in project.instruments
        if form.instrument_name in records
        and (not event or event in project.designated_events(form.instrument_name))
    ]
    saved = {form: _select_saved(records[form], form, event, project) for form in forms}
    of_event = None
    if event in project.repeating_events and forms:
        each = [table.select(["record", "instance"]) for table in saved.values()]
        of_event = _sort_instances(pa.concat_tables(each))
    for form in forms:
        instances = of_event
        if event in project.events_where_repeating(form):
            instances = _sort_instances(saved[form].select(["record", "instance"]))
        rows = _list_expected(listed, instances)
        place = pc.index_in(_join_key(rows), value_set=_join_key(saved[form]))
        status = pc.fill_null(saved[form]["status"].combine_chunks().take(place), NOT_SAVED)
        if status_column(form) in hidden:
            status = pa.nulls(len(rows), pa.string())
        yield pa.table(
            {
                **{name: rows[name] for name in rows.column_names},
                "event": pa.repeat(pa.scalar(event or None, pa.string()), len(rows)),
                "instrument": pa.repeat(form, len(rows)),
                "status": status,
            }
        )


def _select_saved(records: pa.Table, form: str, event: str, project: REDCapProject) -> pa.Table:
    """Return record, instance and status of the saved rows of an instrument in an event."""
    if event:
        records = records.filter(pc.equal(records[EVENT_NAME], event))
    instance: Any = pa.repeat(_NO_NUMBER, len(records))
    if REPEAT_INSTANCE in records.column_names:
        instance = records[REPEAT_INSTANCE].cast(pa.int64())
    code: Any = pa.repeat("0", len(records))  # a saved row without a status, as of an import
    if status_column(form) in records.column_names:
        code = pc.fill_null(records[status_column(form)], "0")
    place = pc.index_in(code, value_set=pa.array(["0", "1", "2"]))
    return pa.table(
        {
            "record": records[project.record_id_field],
            "instance": instance,
            "status": pc.take(pa.array(STATUSES), place),
        }
    )


def _sort_instances(rows: pa.Table) -> pa.Table:
    """Return each record and instance once, in order."""
    once = rows.group_by(["record", "instance"], use_threads=False).aggregate([])
    return once.sort_by([("record", "ascending"), ("instance", "ascending")])


def _list_expected(listed: pa.Array, instances: pa.Table | None) -> pa.Table:
    """Return the instances of the listed records, and one row for a record without any."""
    without, there = listed, []
    if instances is not None:
        there = [instances.filter(pc.is_in(instances["record"], value_set=listed))]
        without = listed.filter(pc.invert(pc.is_in(listed, value_set=instances["record"])))
    numbers = pa.repeat(_NO_NUMBER, len(without))
    return pa.concat_tables([pa.table({"record": without, "instance": numbers}), *there])


def _join_key(rows: pa.Table, *others: str) -> pa.ChunkedArray:
    """Return record, instance and other columns of each row as one text."""
    number = pc.fill_null(rows["instance"].cast(pa.string()), "")
    texts = [pc.fill_null(rows[name], "") for name in others]
    return pc.binary_join_element_wise(rows["record"], number, *texts, "\x1f")


def _find_groups(table: pa.Table, census: pa.Table, project: REDCapProject) -> pa.ChunkedArray:
    if ACCESS_GROUP not in census.column_names:
        return pa.chunked_array([pa.nulls(len(table), pa.string())])
    place = pc.index_in(table["record"], value_set=census[project.record_id_field])
    return census[ACCESS_GROUP].take(place)


def _count_queries(table: pa.Table, queries: pa.Table | None) -> pa.ChunkedArray:
    if queries is None:
        return pa.chunked_array([pa.nulls(len(table), pa.int64())])
    places = ("event", "instrument")
    counted = pc.value_counts(_join_key(queries, *places).combine_chunks())
    found = pc.index_in(_join_key(table, *places), value_set=counted.field("values"))
    return pc.fill_null(pc.take(counted.field("counts"), found), 0)


def draw_completeness(status: pa.Table, project: REDCapProject) -> str:
    """Return the share of complete forms by instrument and event, as bars in a table of Markdown.

    Args:
        status: The table of `build_status`.
        project: Structure of the project.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[{"field_name": "id", "form_name": "a"}])
        >>> records = pa.table({"id": ["1"], "a_complete": ["2"]})
        >>> status = build_status(pa.table({"id": ["1", "2"]}), {"a": records}, project)
        >>> print(draw_completeness(status, project))
        | instrument | complete |
        | --- | --- |
        | A | █████░░░░░ 50 % (1 of 2) |
    """
    counts: dict[tuple[str, str], dict[str | None, int]] = {}
    keys = ["instrument", "event", "status"]
    for row in status.group_by(keys, use_threads=False).aggregate([([], "count_all")]).to_pylist():
        place = (row["instrument"], row["event"] or "")
        counts.setdefault(place, {})[row["status"]] = row["count_all"]
    events = {row.unique_event_name: row for row in project.events}
    shown = [name for name in events or [""] if any(place[1] == name for place in counts)]
    arms = len({row.arm_num for row in project.events})
    heads = [_name_event(events[name], arms) if name else "complete" for name in shown]
    rows = [
        [form.instrument_label, *(_draw_bar(counts.get((name, event))) for event in shown)]
        for form in project.instruments
        for name in [form.instrument_name]
        if any(place[0] == name for place in counts)
    ]
    return build_markdown_table(["instrument", *heads], rows)


def _name_event(event: Event, arms: int) -> str:
    return event.event_name if arms == 1 else f"{event.event_name} (arm {event.arm_num})"


def _draw_bar(counts: Mapping[str | None, int] | None) -> str:
    if counts is None:
        return ""
    if None in counts:
        return "hidden"
    complete, total = counts.get(STATUSES[-1], 0), sum(counts.values())
    filled = complete * _BAR // total
    bar = "█" * filled + "░" * (_BAR - filled)
    return f"{bar} {complete * 100 // total} % ({complete} of {total})"
