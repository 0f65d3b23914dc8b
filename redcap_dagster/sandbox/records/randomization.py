"""Randomization: each randomized record takes a row of an allocation table.

A server has more settings (strata in other events, sites, concealed targets). The columns of the
response are known; messages and refusals are guesses.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_table
from redcap_dagster.sandbox.calls.log import log_record
from redcap_dagster.sandbox.protocol.formats import Table
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.calculations import recalculate
from redcap_dagster.sandbox.records.selection import filter_visible_rows
from redcap_dagster.sandbox.store.columns import index_columns
from redcap_dagster.sandbox.store.rights import require
from redcap_dagster.sandbox.store.row_keys import RowKey, check_row_key, list_row_forms
from redcap_dagster.sandbox.store.store import Store, StoredProject

NUMBER: Final = "redcap_randomization_number"
"""Column of an allocation table with the alternative to the target's value."""

# An allocation belongs to a row, so that it stays with a renamed record and becomes free when the
# row is deleted.
_TABLES: Final = """
create table if not exists randomization (
    id integer primary key, project integer not null references project on delete cascade,
    target text not null, event text not null, strata text not null
);
create table if not exists allocation (
    id integer primary key,
    randomization integer not null references randomization on delete cascade,
    stratum text not null, target text not null, number text not null,
    row integer references row on delete set null, unique (row, randomization)
);
"""
_COLUMNS: Final = ("randomization_id", "record", "target_field", "target_field_alt")


def add_randomization(
    store: Store,
    project: StoredProject,
    target_field: str,
    allocations: Sequence[Mapping[str, object]],
    event: str,
) -> int:
    """Add a randomization, and return its number; see `Sandbox.add_randomization`."""
    structure = project.structure
    check_row_key(structure, RowKey("", event))
    names = {str(name) for row in allocations for name in row}
    strata = sorted(names - {target_field, NUMBER})
    columns, here = index_columns(structure), list_row_forms(structure, event, "")
    for name in (target_field, *strata):
        column = columns.get(name)
        if column is None or not column.field.choices or column.choice is not None:
            raise ValueError(f"allocations: {name} is not a field of single choice.")
        if column.field.form_name not in here:
            raise ValueError(
                f"The instrument of {name} is not designated for this event, or repeats there."
            )
        codes = {choice.code for choice in column.field.choices}
        if any(str(row.get(name, "")) not in codes for row in allocations):
            raise ValueError(f"allocations: {name} is missing in a row, or not one of its choices.")
    if target_field not in names:
        raise ValueError(f"allocations: give rows with {target_field}.")
    with store.lock, store.connection as database:
        database.executescript(_TABLES)
        (number,) = database.execute(
            "insert into randomization (project, target, event, strata) values (?, ?, ?, ?)"
            " returning id",
            (project.id, target_field, event, json.dumps(strata)),
        ).fetchone()
        database.executemany(
            "insert into allocation (randomization, stratum, target, number) values (?, ?, ?, ?)",
            [
                (
                    number,
                    json.dumps([str(row[name]) for name in strata]),
                    str(row[target_field]),
                    str(row.get(NUMBER, "")),
                )
                for row in allocations
            ],
        )
        info = replace(structure.info, randomization_enabled=1)
        store.replace_structure(project.id, replace(structure, info=info))
    return int(number)


def randomize_record(call: Call) -> Response:
    """Handle ``content=record``, ``action=randomize``: respond with the record's allocation."""
    require(call.project.rights.random_perform, 403, "You do not have Randomize privileges")
    if not call.project.structure.info.randomization_enabled:
        raise RequestError(400, "Randomization is not enabled in this project.")
    database = call.store.connection
    database.executescript(_TABLES)
    randomization_id = call.parameters.get_text("randomization_id")
    found = database.execute(
        "select id, target, event, strata from randomization"
        " where project = ? and cast(id as text) = ?",
        (call.project.id, randomization_id),
    ).fetchone()
    if found is None:
        raise RequestError(400, "The randomization_id is missing, or not one of this project.")
    number, target, event, strata = found
    row_key = RowKey(call.parameters.get_text("record"), event)
    rows = filter_visible_rows(call, call.store.find_rows(call.project, (row_key.record,), ()))
    row = {visible: number for number, visible in rows}.get(row_key)
    if not row_key.record or row is None:
        raise RequestError(400, f'The record "{row_key.record}" does not exist')
    if database.execute(
        "select 1 from allocation where randomization = ? and row = ?", (number, row)
    ).fetchone():
        raise RequestError(400, f'The record "{row_key.record}" is randomized already')
    names = json.loads(strata)
    known = call.store.find_values(call.project, (row_key.record,), (), (target, *names))
    values = {name: value for number, name, value in known if number == row}
    if missing := [name for name in names if name not in values]:
        raise RequestError(400, f"The record has no value for: {', '.join(missing)}")
    if target in values:
        raise RequestError(400, f"The record has a value for {target} already")
    free = database.execute(
        "select id, target, number from allocation"
        " where randomization = ? and stratum = ? and row is null order by id",
        (number, json.dumps([values[name] for name in names])),
    ).fetchone()
    if free is None:
        raise RequestError(400, "The allocation table has no row left for this record")
    allocation, value, alternative = free
    with database:
        database.execute("update allocation set row = ? where id = ?", (row, allocation))
    call.store.save_values(call.project, [(row_key, {target: value})])
    recalculate(call.store, call.project, (row_key.record,))
    # A server logs it in other words.
    log_record(call, "Update", row_key.record, {target: value})
    if not call.parameters.get_flag("returnAlt"):
        alternative = ""
    allocated = (number, row_key.record, value, alternative)
    return respond_with_table(call, Table(_COLUMNS, [allocated], single=True))


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {("record", "randomize"): randomize_record}
