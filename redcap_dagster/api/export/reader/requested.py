"""What a record export was asked for: the columns and the rows that its response may have.

A proxy that caches, or a server that ignores parameters, sends a response that belongs to another
request. Such rows look right: only a comparison with the request shows that they are not.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api.errors import ResponseMismatchError
from redcap_dagster.api.export.reader.csv_reader import list_rows_named
from redcap_dagster.api.export.reader.requested_columns import COLUMN_FLAGS, RequestedColumns
from redcap_dagster.api.export.reader.row_keys import REQUEST, add_repeat_columns
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import (
    EVENT_NAME,
    REPEAT_COLUMNS,
    REPEAT_INSTRUMENT,
)

_HASH: Final = re.compile(r"[0-9a-f]{32,}")
"""A hash that REDCap shows instead of a record id, to users with de-identified rights."""

_NAME: Final = "^[a-z0-9_]+$"
"""The name of a column."""


@dataclass(frozen=True)
class Requested:
    """The columns and rows that one request asks for.

    Attributes:
        record_id_field: The record id field.
        parameters: The number of parameters of the request.
        records: The ids of the records. None for all records.
        events: The unique names of the events. None for all events.
        instruments: The instruments whose instances may be among the rows. None for all.
        repeats: Whether the project has repeating instruments. Defaults to False.
        longitudinal: Whether the project has events. Defaults to False.
        columns: The columns that its response may have. Defaults to None, where the dictionary is
            unknown.
    """

    record_id_field: str
    parameters: int
    records: frozenset[str] | None = field(repr=False)
    events: frozenset[str] | None
    instruments: frozenset[str] | None = None
    repeats: bool = False
    longitudinal: bool = False
    columns: RequestedColumns | None = field(default=None, repr=False)

    @classmethod
    def read(
        cls,
        parameters: Mapping[str, str],
        record_id_field: str,
        project: REDCapProject | None = None,
    ) -> Self:
        """Return what API parameters ask for.

        Args:
            parameters: The parameters of a record export.
            record_id_field: The record id field.
            project: The structure. Without it, columns are not compared. Defaults to None.

        Example:
            >>> project = REDCapProject.from_exports(metadata=[
            ...     {"field_name": "id", "form_name": "a"},
            ...     {"field_name": "age", "form_name": "a"}])
            >>> requested = Requested.read({"fields[0]": "age", "fields[1]": "id"}, "id", project)
            >>> requested.find_other(["id", "age", "x"]), requested.find_missing(["id", "x"])
            (['x'], ['age'])
        """
        labeled = parameters.get("rawOrLabel") == "label"
        lists = _read_lists(parameters)
        requested = cls(
            record_id_field,
            len(parameters) + 1,  # the token
            lists.get("records"),
            None if labeled else lists.get("events"),
        )
        if project is None:
            return requested
        none = frozenset[str]()
        columns = RequestedColumns.read(
            project,
            record_id_field,
            lists.get("fields", none),
            lists.get("forms", none),
            COLUMN_FLAGS.intersection(parameters),
        )
        return replace(
            requested,
            instruments=None if labeled else columns.instruments,
            repeats=project.has_repeating,
            longitudinal=project.is_longitudinal,
            columns=columns,
        )

    # -- columns ------------------------------------------------------------------------------

    def find_other(self, columns: Sequence[str]) -> list[str]:
        """Return the columns that were not requested."""
        return self.columns.find_other(columns) if self.columns else []

    def find_missing(self, columns: Sequence[str]) -> list[str]:
        """Return the requested columns that are missing; of an unknown checkbox, its name."""
        return self.columns.find_missing(columns) if self.columns else []

    def count_columns(self) -> int:
        """Return the number of requested columns; an unknown checkbox counts as one."""
        return len(self.columns.list_required()) if self.columns else 0

    # -- rows ---------------------------------------------------------------------------------

    def check_rows(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches with the requested columns, if their rows belong to the request.

        Blank rows of instruments that were not requested are left out. The columns of instances
        are added where the server omits them.

        Raises:
            ResponseMismatchError: Rows belong to other records, events or instruments, or are a
                header. Their batch is not yielded.
        """
        kept: list[str] = []
        for received in batches:
            names = received.schema.names
            if not kept:
                other = {*self.find_other(names)}
                kept = [name for name in names if name not in other]
                self._check_key_columns(names)
            batch = received if kept == names else received.select(kept)
            if self._has_header(batch):
                raise self.mismatch_error("a row is a header, so that it may be two responses")
            self.check_records_and_events(batch)
            rows = self._drop_other_instruments(batch)
            yield add_repeat_columns(rows) if self.repeats else rows

    def _check_key_columns(self, columns: Sequence[str]) -> None:
        """Raise if a column is missing that every export has.

        Raises:
            ResponseMismatchError: It is.
        """
        instances = [name for name in REPEAT_COLUMNS if name in columns]
        has_events = self.longitudinal or self.events is not None
        if len(instances) == 1 or (has_events and EVENT_NAME not in columns):
            raise self.mismatch_error("it lacks the column of events, or one of instances")

    def check_records_and_events(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Raise if rows belong to other records or events.

        Raises:
            ResponseMismatchError: They do.
        """
        if others := self._count_other_records(rows):
            raise self.mismatch_error(f"{others} rows are of records that were not requested")
        if others := _count_others(rows, EVENT_NAME, self.events):
            raise self.mismatch_error(f"{others} rows are of events that were not requested")

    def mismatch_error(self, problem: str) -> ResponseMismatchError:
        """Return the error for a response that does not belong to its request."""
        return ResponseMismatchError(
            f"{REQUEST}: the response does not belong to its request: {problem}. Look for a proxy "
            "or firewall that caches or changes requests, and at max_input_vars in the server's "
            f"PHP settings, as PHP ignores parameters beyond it: the request had "
            f"{self.parameters}. Then try again.",
            request=REQUEST,
        )

    def _has_header(self, batch: pa.RecordBatch) -> bool:
        """Return whether a row looks like a header of any columns."""
        return any(
            all(cell is not None and re.fullmatch(_NAME, cell) for cell in row)
            for row in list_rows_named(batch, self.record_id_field)
        )

    def _count_other_records(self, batch: pa.RecordBatch | pa.Table) -> int:
        """Return how many rows are of records that were not requested.

        Hashes of ids cannot be compared with ids.
        """
        if self.records is None:
            return 0
        ids = batch[self.record_id_field]
        ids = ids.drop_null()
        known = pc.is_in(ids, pa.array([*self.records], pa.string()))
        if pc.all(known, min_count=0).as_py():  # the usual case
            return 0
        others = ids.filter(pc.invert(known))
        counts = {row["values"]: row["counts"] for row in others.value_counts().to_pylist()}
        if counts:
            hashed = all(map(_HASH.fullmatch, counts)) and len(counts) <= len(self.records)
            counts = {
                record: rows
                for record, rows in counts.items()
                if _fold(record) not in self._folded and not hashed
            }
        return sum(counts.values())

    @cached_property
    def _folded(self) -> frozenset[str]:
        return frozenset(map(_fold, self.records or ()))

    def _drop_other_instruments(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows without blank ones of instruments that were not requested.

        Raises:
            ResponseMismatchError: Such rows have values.
        """
        if not _count_others(batch, REPEAT_INSTRUMENT, self.instruments):
            return batch
        wanted = pa.array([*(self.instruments or ()), None], pa.string())
        other = batch.filter(pc.invert(pc.is_in(batch[REPEAT_INSTRUMENT], wanted)))
        added = self.columns.added if self.columns else frozenset[str]()
        values = [name for name in batch.schema.names if name not in added]
        if any(other[name].null_count < other.num_rows for name in values):
            raise self.mismatch_error(
                f"{other.num_rows} rows are of instruments that were not requested"
            )
        return batch.filter(pc.is_in(batch[REPEAT_INSTRUMENT], wanted))


def _read_lists(parameters: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the lists of a request by their names, such as ``records``."""
    lists: defaultdict[str, list[str]] = defaultdict(list)
    for key, value in parameters.items():
        if name := _get_list_name(key):
            lists[name].append(value)
    return {name: frozenset(values) for name, values in lists.items()}


@lru_cache(1 << 12)  # each request has records[0], records[1], ...
def _get_list_name(parameter: str) -> str:
    """Return the name of the list that a parameter is part of, or a blank."""
    name, bracket, _ = parameter.partition("[")
    return name if bracket else ""


def _count_others(
    batch: pa.RecordBatch | pa.Table, column: str, known: frozenset[str] | None
) -> int:
    """Return how many rows have a value in a column that is not a known one."""
    if known is None or column not in batch.schema.names:
        return 0
    values: Any = batch[column].drop_null()
    return int(pc.sum(pc.invert(pc.is_in(values, pa.array([*known], pa.string())))).as_py() or 0)


def _fold(record: str) -> str:
    """Return a record id as REDCap's database compares it: without case, accents and last blanks.

    Example:
        >>> _fold("É-1 ") == _fold("e-1")
        True
    """
    letters = unicodedata.normalize("NFKD", record.rstrip(" "))
    return "".join(one for one in letters if not unicodedata.combining(one)).casefold()
