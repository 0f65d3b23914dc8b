"""Which row of an instrument a reference means, for each row of another one.

What REDCap documents, or what was chosen where it does not say:

- Without an event, a reference means the event of the row; without an instance, the instance of the
  row if the field is of the same repeating instrument or repeating event.
- A row of anything else that refers to a repeating instrument without an instance may mean any of
  its instances: it cannot be said, unless no instance exists.
- ``previous-instance`` and ``next-instance`` are the numbers before and after that of the row;
  ``first-instance`` and ``last-instance`` the lowest and the highest number that there is.
- What is in rows that were exported at another moment cannot be said.
- An event that the project does not have, an event that the instrument is not designated for, and
  an instance that is not there have no row: a blank.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project.logic.events import find_event
from redcap_dagster.tables.logic.study import MOST_INSTANCES, Numbers, StudyRows

Booleans = npt.NDArray[np.bool_]
"""One truth for each row."""

_OWN_EVENT: Final = ("", "event-name")
_ONLY_INSTANCE: Final = ("", "1", "current-instance", "first-instance", "last-instance")
"""The instances that mean the one row of an instrument that does not repeat."""


@dataclass(frozen=True)
class FoundRows:
    """The rows that a reference means.

    Attributes:
        at: Position in the table of the other instrument; -1 if there is no such row.
        unsaved: Whether there is no row because the instrument was not saved there.
        unknown: Whether it cannot be said which row it is.
    """

    at: Numbers
    unsaved: Booleans
    unknown: Booleans


def find_rows(
    study: StudyRows, instrument: str, other: str, event: str, instance: str
) -> FoundRows | None:
    """Return the rows of another instrument that a reference means; None for the rows themselves.

    Args:
        study: The rows of all instruments.
        instrument: Instrument of the rows.
        other: Instrument of the field that the reference names.
        event: Event of the reference, as in `project.logic.Reference`.
        instance: Instance of the reference.
    """
    if instrument == other and event in _OWN_EVENT and instance in ("", "current-instance"):
        return None
    return study.remember(
        (instrument, other, event, instance),
        lambda: _Search(study, instrument, other).find(event, instance),
    )


class _Search:
    """The search of rows of one instrument for the rows of another."""

    def __init__(self, study: StudyRows, instrument: str, other: str) -> None:
        self._study = study
        self._instrument = instrument
        self._other = other
        self._rows = study.find_keys(instrument)
        self._other_rows = study.find_keys(other)
        project, events = study.project, list(study.events)
        designated = project.designated_events(other)
        repeating = project.events_where_repeating(other)
        # The last one is that of no event.
        self._designated = np.array(
            [*(not project.is_longitudinal or name in designated for name in events), False]
        )
        self._form_repeats = np.array([*(name in repeating for name in events), False])
        self._event_repeats = np.array(
            [*(name in project.repeating_events for name in events), False]
        )

    def find(self, event: str, instance: str) -> FoundRows:
        """Return the rows that a reference with this event and instance means."""
        rows, target = self._rows, self._find_events(event)
        designated = self._designated[target]
        of_form, of_event = self._form_repeats[target], self._event_repeats[target]
        repeats = of_form | of_event
        is_same = (target == rows.event) & (of_event | (self._instrument == self._other))
        own = np.where(is_same, rows.instance, 0)
        place = self._place(rows.record, target)
        number, is_sure = self._find_instances(instance, own, place, of_event)
        number = np.where(repeats, number, 0)
        is_sure = np.where(repeats, is_sure, instance in _ONLY_INSTANCE)
        form_place = self._place(self._other_rows.record, self._other_rows.event)
        form_instances = self._join(form_place, self._other_rows.instance)
        wanted = self._join(place, number)
        at = np.where(designated & is_sure, _find(wanted, form_instances), -1)
        event_place, event_instance = self._event_rows()
        event_is_there = _find(wanted, self._join(event_place, event_instance)) >= 0
        any_is_there = np.where(
            of_event, _find(place, event_place) >= 0, _find(place, form_place) >= 0
        )
        unsaved = designated & is_sure & (at < 0) & ~of_form & (~of_event | event_is_there)
        unknown = ~is_sure & any_is_there
        if not self._study.are_of_one_moment(self._instrument, self._other):
            unknown = np.ones(len(target), np.bool_)
        return FoundRows(at, unsaved, designated & unknown)

    def _find_events(self, event: str) -> Numbers:
        """Return the number of the event that each row means."""
        if event in _OWN_EVENT:
            return self._rows.event
        names, none = self._study.events, len(self._study.events)
        if not self._study.project.is_longitudinal:
            return np.full(len(self._rows.event), none)
        found = [find_event(self._study.project, event, name, self._other) for name in names]
        numbers = np.array([*(names.get(name or "", none) for name in found), none])
        if event in names:
            numbers[none] = names[event]  # whatever the event of the row
        targets: Numbers = numbers[self._rows.event]
        return targets

    def _find_instances(
        self, instance: str, own: Numbers, place: Numbers, of_event: Booleans
    ) -> tuple[Numbers, Booleans]:
        """Return the instance that each row means, -1 for none, and whether that is sure."""
        sure = np.ones(len(own), np.bool_)
        # Of another series, the number of the row is the only one that it can mean.
        current = np.where(own > 0, own, self._rows.instance)
        match instance:
            case "":
                return own, own > 0
            case "current-instance":
                return current, current > 0
            case "previous-instance":
                return current - 1, current > 0
            case "next-instance":
                return current + 1, current > 0
            case "first-instance":
                return self._find_ends(place, of_event, np.minimum), self._knows_all(of_event)
            case "last-instance":
                return self._find_ends(place, of_event, np.maximum), self._knows_all(of_event)
            case number if number.isdecimal():
                return np.full(len(own), min(int(number), MOST_INSTANCES)), sure
        return own, ~sure

    def _find_ends(
        self, place: Numbers, of_event: Booleans, choose: Callable[..., Numbers]
    ) -> Numbers:
        """Return the lowest or the highest instance that there is; -1 for none."""
        rows = self._other_rows
        of_form = _reduce(place, self._place(rows.record, rows.event), rows.instance, choose)
        return np.where(of_event, _reduce(place, *self._event_rows(), choose), of_form)

    def _knows_all(self, of_event: Booleans) -> Booleans:
        """Return whether all rows are known that can have an instance."""
        forms = self._list_repeating_with_events()
        known = (
            form in self._study.tables and self._study.are_of_one_moment(self._instrument, form)
            for form in forms
        )
        return ~of_event | all(known)

    def _event_rows(self) -> tuple[Numbers, Numbers]:
        """Return the place and the instance of each row of a repeating event."""

        def list_event_rows() -> tuple[Numbers, Numbers]:
            places, instances = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
            for form in self._list_repeating_with_events():
                if form in self._study.tables:
                    keys = self._study.find_keys(form)
                    chosen = self._event_repeats[keys.event]
                    places.append(self._place(keys.record[chosen], keys.event[chosen]))
                    instances.append(keys.instance[chosen])
            return np.concatenate(places), np.concatenate(instances)

        return self._study.remember("event rows", list_event_rows)

    def _list_repeating_with_events(self) -> list[str]:
        """Return the instruments of repeating events."""
        project = self._study.project
        forms = dict.fromkeys(row.form for row in project.form_events)
        repeating = project.repeating_events
        return [form for form in forms if repeating.intersection(project.designated_events(form))]

    def _place(self, record: Numbers, event: Numbers) -> Numbers:
        """Return one number for each record and event."""
        return record * (len(self._study.events) + 1) + event

    @staticmethod
    def _join(place: Numbers, instance: Numbers) -> Numbers:
        """Return one number for each record, event and instance."""
        joined: Numbers = np.where(instance < 0, -1, place * (MOST_INSTANCES + 1) + instance)
        return joined


def _find(wanted: Numbers, among: Numbers) -> Numbers:
    """Return where each number stands among others, -1 for those that are not there."""
    found = pc.index_in(pa.array(wanted), pa.array(among))
    positions: Numbers = pc.fill_null(found.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return positions


def _reduce(
    place: Numbers, places: Numbers, numbers: Numbers, choose: Callable[..., Numbers]
) -> Numbers:
    """Return the lowest or highest number of each place; -1 for a place without any."""
    if not len(places):
        return np.full(len(place), -1)
    distinct, groups = np.unique(places, return_inverse=True)
    chosen = np.full(len(distinct), -1 if choose is np.maximum else np.iinfo(np.int64).max)
    choose.at(chosen, groups, numbers)  # type: ignore[attr-defined]
    found = _find(place, distinct)
    return np.where(found < 0, -1, chosen[found])
