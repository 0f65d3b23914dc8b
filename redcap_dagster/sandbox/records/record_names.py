"""Record names: the name of the next record, and renaming."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_text
from redcap_dagster.sandbox.calls.log import log_management
from redcap_dagster.sandbox.people.data_access_groups import load_groups
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.records.selection import make_record_arm_reader, select_arm_rows
from redcap_dagster.sandbox.store.rights import require


def find_next_record_name(call: Call, taken: Iterable[str] = ()) -> str:
    """Return the name of the next record: one above the highest number.

    A user in an access group gets the next number of that group after its id, as ``223-3``.

    Args:
        call: Call of the user.
        taken: Names that are not stored yet. Defaults to none.
    """
    prefix = ""
    if own := call.project.rights.data_access_group:
        group = load_groups(call.store, call.project).get(own)
        prefix = f"{group.id if group else 0}-"  # 0 for an unknown group is a guess
    records = {row_key.record for _, row_key in call.store.find_rows(call.project, (), ())}
    number = re.compile(re.escape(prefix) + r"(\d{1,18})", re.ASCII)
    numbers = (int(found[1]) for name in {*records, *taken} if (found := number.fullmatch(name)))
    return f"{prefix}{max(numbers, default=0) + 1}"


def export_next_record_name(call: Call) -> Response:
    """Handle ``content=generateNextRecordName``: respond with plain text."""
    return respond_with_text(find_next_record_name(call), call.format)


def rename_record(call: Call) -> Response:
    """Handle ``content=record``, ``action=rename``; all refusals are guesses."""
    require(call.project.rights.record_rename, 403, "You do not have Rename Record privileges")
    old, new = (
        call.parameters.get_text("record"),
        call.parameters.get_text("new_record_name").strip(),
    )
    rows = {row_key: number for row_key, number in select_arm_rows(call, (old,)).items() if old}
    if not rows:
        raise RequestError(400, f'The record "{old}" does not exist')
    if not new or call.store.has_record(call.project, new):
        raise RequestError(400, "The new record name is blank, or a record has it already.")
    get_record_arm = make_record_arm_reader(call.project.structure)
    with call.store.connection as database:
        database.executemany(
            "update row set record = ? where id = ?", [(new, number) for number in rows.values()]
        )
        database.executemany(
            "update access_group set record = ? where project = ? and record = ? and arm = ?",
            [(new, call.project.id, *get_record_arm(row_key)) for row_key in rows],
        )
    # Known is that date ranges do not include it; the text of the log is a guess.
    log_management(call, f"Rename record (API) from '{old}' to '{new}'")
    return respond_with_text("1", call.format)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("generateNextRecordName", "export"): export_next_record_name,
    ("record", "rename"): rename_record,
}
