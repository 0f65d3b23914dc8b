"""The records of a study as logic reads them: the rows of all instruments, with their keys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Column, REDCapProject
from redcap_dagster.project.system_columns import EVENT_NAME, REPEAT_INSTANCE
from redcap_dagster.project.validations import shows_other_dates

Numbers = npt.NDArray[np.int64]
"""One whole number for each row."""

MOST_INSTANCES: Final = 1_000_000_000
"""A number that is higher than that of any instance."""

_T = TypeVar("_T")
_MOST_REMEMBERED: Final = 512
"""How many columns a study keeps for the expressions that refer to them again."""


@dataclass(frozen=True, eq=False)
class StudyRows:
    """The rows of a project's instruments, in which the references of logic are looked up.

    Attributes:
        project: Structure of the project.
        tables: Records table of each instrument, as text with blanks null; they may be read when
            they are asked for. An instrument that is not among them was not exported: its values
            cannot be said. Neither can those of a column that its table does not have.
        find_moment: Returns what tells when an instrument's rows were exported. What a row refers
            to in rows of another moment cannot be said, as it may have changed in between. Defaults
            to one moment for all.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"}, {"field_name": "sex", "form_name": "a"}])
        >>> StudyRows(project, {"a": pa.table({"id": ["1"], "sex": ["2"]})}).count_rows("a")
        1
    """

    project: REDCapProject = field(repr=False)
    tables: Mapping[str, pa.Table] = field(repr=False)
    find_moment: Callable[[str], object] = field(default=lambda _: None, repr=False)
    _remembered: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    _always: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    _records: list[pa.StringArray] = field(default_factory=list, init=False, repr=False)

    def count_rows(self, instrument: str) -> int:
        """Return the number of rows of an instrument."""
        return int(self.tables[instrument].num_rows)

    def are_of_one_moment(self, instrument: str, other: str) -> bool:
        """Return whether the rows of two instruments were exported together."""
        return instrument == other or self.find_moment(instrument) == self.find_moment(other)

    def remember(self, key: Any, make: Callable[[], _T]) -> _T:
        """Return the result of a function, which is called once for the same key.

        Args:
            key: What the result depends on, beside this study.
            make: The function.
        """
        if key not in self._remembered:
            made = make()
            while len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            self._remembered[key] = made
        found: _T = self._remembered[key]
        return found

    def remember_always(self, key: Any, make: Callable[[], _T]) -> _T:
        """Return the result of a function as `remember` does, for a result that is small."""
        if key not in self._always:
            self._always[key] = make()
        found: _T = self._always[key]
        return found

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """The export columns of all instruments, by name."""
        return {
            column.name: column
            for instrument in self.project.instruments
            for column in self.project.columns(instrument.instrument_name)
        }

    @cached_property
    def events(self) -> Mapping[str, int]:
        """The number of each event, by its unique name; a classic project has one without name."""
        names = [event.unique_event_name for event in self.project.events]
        return {name: number for number, name in enumerate(names or [""])}

    @cached_property
    def other_dates(self) -> frozenset[str]:
        """The fields whose dates a form shows in another order than the stored one."""
        fields = self.project.fields
        return frozenset(field.field_name for field in fields if shows_other_dates(field))

    @cached_property
    def missing_codes(self) -> frozenset[str]:
        """The missing data codes of the project."""
        return frozenset(choice.code for choice in self.project.missing_data_codes)

    def find_missing_codes(self, texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Return whether each text is a missing data code of the project."""
        return pc.is_in(texts, pa.array(sorted(self.missing_codes), pa.string()))

    def find_keys(self, instrument: str) -> "RowKeys":
        """Return the keys of an instrument's rows."""
        return self.remember_always(("keys", instrument), lambda: self._make_keys(instrument))

    def _number_records(self, ids: pa.StringArray) -> Numbers:
        """Return the number of each record, the same in all instruments."""
        known = pa.concat_arrays([pa.array([], pa.string()), *self._records])
        is_new = pc.invert(pc.is_in(ids, known))
        self._records.append(pc.unique(ids.filter(is_new)))
        return _to_numbers(pc.index_in(ids, pa.concat_arrays(self._records)), -1)

    def read_column(self, instrument: str, name: str) -> pa.StringArray:
        """Return a column of an instrument's table as one array."""
        column = self.tables[instrument][name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # what older versions of Arrow return
            column = pa.concat_arrays(column.chunks)
        return column

    def _make_keys(self, instrument: str) -> "RowKeys":
        record = self._number_records(self.read_column(instrument, self.project.record_id_field))
        event = instance = np.zeros(len(record), np.int64)
        if self.project.is_longitudinal:
            known = pa.array(list(self.events), pa.string())
            found = pc.index_in(self.read_column(instrument, EVENT_NAME), known)
            event = _to_numbers(found, len(known))
        if REPEAT_INSTANCE in self.tables[instrument].column_names:
            text = self.read_column(instrument, REPEAT_INSTANCE)
            is_number = pc.match_substring_regex(text, r"^\d{1,9}$")
            number = pc.if_else(is_number, text, pa.scalar(None, pa.string()))
            instance = _to_numbers(number.cast(pa.int64()), 0)
        return RowKeys(record, event, instance)


@dataclass(frozen=True)
class RowKeys:
    """The keys of an instrument's rows, as numbers.

    Attributes:
        record: Number of the record, the same in all instruments.
        event: Number of the event, as in `StudyRows.events`; one more than the last for an event
            that the project does not have.
        instance: Number of the instance; 0 in a row without one.
    """

    record: Numbers
    event: Numbers
    instance: Numbers


def _to_numbers(array: pa.Array, missing: int) -> Numbers:
    numbers: Numbers = pc.fill_null(array.cast(pa.int64()), missing).to_numpy(zero_copy_only=False)
    return numbers
