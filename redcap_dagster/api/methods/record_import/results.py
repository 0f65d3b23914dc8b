"""The results of record imports, read from REDCap's responses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Self

from redcap_dagster.api.calls.rows import read_count
from redcap_dagster.api.http.response import (
    Response,
    check_data,
    malformed_error,
    read_body,
    read_json,
)


@dataclass(frozen=True, slots=True)
class CellChange:
    """One value that an import would change; ``repr`` shows neither the record nor values.

    Attributes:
        record: The record id.
        event: The event; blank in a classic project.
        instrument: The repeating instrument; blank elsewhere.
        instance: The instance; blank where nothing repeats.
        column: The export column.
        before: The stored value. None where the row does not exist yet, or where the user may not
            export the field.
        after: The value that the import would store.
    """

    record: str = field(repr=False)
    event: str
    instrument: str
    instance: str
    column: str
    before: str | None = field(repr=False)
    after: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecordImport:
    """The result of an import; of a dry run, the result that the import would have.

    Attributes:
        records: The ids of the imported records, also of those whose values were all stored
            already. Empty where they were not requested, and for an import in the background.
        numbered: For each record that REDCap numbered, the id in the data and the new id. Defaults
            to none.
        changes: The changes that a dry run found, value by value. Defaults to none.
        count: The number of imported records. None where REDCap does not return it.
    """

    records: tuple[str, ...] = field(repr=False)
    numbered: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    changes: tuple[CellChange, ...] = field(default=(), repr=False)
    count: int | None = None

    @classmethod
    def merge(cls, parts: Sequence[Self]) -> Self:
        """Return the results of several requests as one."""
        counts = [part.count for part in parts if part.count is not None]
        return cls(
            records=tuple(chain.from_iterable(part.records for part in parts)),
            numbered=tuple(chain.from_iterable(part.numbered for part in parts)),
            count=sum(counts) if len(counts) == len(parts) else None,
        )


def read_accepted(response: Response) -> RecordImport:
    """Return the result of an import in the background, which REDCap only confirms to accept.

    Raises:
        MalformedResponseError: The response says something else.
    """
    if read_json(response) not in ({"success": True}, {"success": "true"}, {"success": 1}):
        raise malformed_error(response, "it does not say that the import was accepted")
    return RecordImport(())


def read_import(response: Response, return_content: str) -> RecordImport:
    """Return the result of an import.

    Args:
        response: The response.
        return_content: The content that was requested: ``count``, ``nothing``, ``ids`` or
            ``auto_ids``.

    Raises:
        MalformedResponseError: The response has another content.
        REDCapError: The response is an error. The type says why.
    """
    if return_content == "count":
        return RecordImport((), count=read_count(response))
    if return_content == "nothing":
        body = read_body(response).strip()
        if body not in (b"", b"{}", b"[]"):  # a guess; documented is only that no content is sent
            check_data(response, body)
            raise malformed_error(response, "it has content where none was requested")
        return RecordImport(())
    ids = read_json(response)
    if not isinstance(ids, list) or not all(isinstance(one, str | int) for one in ids):
        raise malformed_error(response, "it is not a list of record ids")
    if return_content == "ids":
        return RecordImport(tuple(map(str, ids)), count=len(ids))
    pairs = [str(pair).partition(",") for pair in ids]
    return RecordImport(
        tuple(new for new, _, _ in pairs),
        tuple((given, new) for new, comma, given in pairs if comma),
        count=len(ids),
    )
