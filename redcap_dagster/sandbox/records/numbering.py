"""The name of the next record."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from redcap_dagster.sandbox.calls.call import Answerer, Call, Reply, text_reply
from redcap_dagster.sandbox.people.data_access_groups import groups_of


def next_record_name(call: Call, taken: Iterable[str] = ()) -> str:
    """The name that the next record gets: one above the highest number.

    With a group it is counted in that group, and the group's number goes before it: ``223-3``.
    """
    prefix = ""
    if own := call.project.rights.data_access_group:
        group = groups_of(call.store, call.project).get(own)
        prefix = f"{group.id if group else 0}-"  # a group of which nothing is known: a guess
    records = {place.record for _, place in call.store.rows(call.project, (), ())}
    number = re.compile(re.escape(prefix) + r"(\d{1,18})", re.ASCII)
    numbers = (int(found[1]) for name in {*records, *taken} if (found := number.fullmatch(name)))
    return f"{prefix}{max(numbers, default=0) + 1}"


def answer_next_record_name(call: Call) -> Reply:
    """Answer ``content=generateNextRecordName``, as plain text."""
    return text_reply(next_record_name(call), call.format)


ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    ("generateNextRecordName", "export"): answer_next_record_name,
}
