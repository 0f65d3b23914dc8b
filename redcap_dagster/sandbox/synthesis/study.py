"""A made-up study: records that obey a dictionary, and errors in them on request."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from pathlib import Path
from random import Random
from typing import Final

from redcap_dagster.options import misspelt
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.project.xml.reader import DataPoint, EmbeddedFile, OdmFile
from redcap_dagster.sandbox.store.loading import Cells
from redcap_dagster.sandbox.store.row_keys import RowKey
from redcap_dagster.sandbox.synthesis.goals import find_goal
from redcap_dagster.sandbox.synthesis.making import RecordMaker
from redcap_dagster.sandbox.synthesis.plan import FieldPlan, StudyPlan
from redcap_dagster.sandbox.synthesis.planted_errors import KINDS, PlantedError, plant_errors
from redcap_dagster.sandbox.synthesis.records import MadeUpRecord, Place
from redcap_dagster.sandbox.synthesis.structure_files import read_structure_file
from redcap_dagster.sandbox.synthesis.visits import draw_saved_forms

_GROUPS: Final = ("site_a", "site_a", "site_b", "site_b", "site_c", "site_c", "site_c", "")
_MOST_GOALS: Final = 500
_MOST_ATTEMPTS: Final = 3
_MADE_FIRST: Final = 10
_MADE_TOGETHER: Final = 100
_FILE: Final = EmbeddedFile("made_up.txt", "text/plain", b"made up\n")


@dataclass(frozen=True)
class MadeUpStudy:
    """Records that a dictionary allows, none of which is a person's.

    Attributes:
        project: Structure of the project.
        rows: Values that are stored, by row.
        errors: Values that were made wrong, each with what it brings with it.
        never_asked: Required fields that no record asks, each with the reason.
        circular: Fields whose logic refers to itself, perhaps by other fields.
    """

    project: REDCapProject = field(repr=False)
    rows: tuple[Cells, ...] = field(repr=False)
    errors: tuple[PlantedError, ...] = field(repr=False)
    never_asked: Mapping[str, str]
    circular: tuple[str, ...]

    @property
    def content(self) -> OdmFile:
        """The project and its files, as a project XML has them."""
        files = {each.field_name for each in self.project.fields if each.field_type == "file"}
        points = tuple(
            DataPoint(key.record, key.event, key.instrument, key.instance, name, value, _FILE)
            for key, values in self.rows
            for name, value in values.items()
            if name in files
        )
        return OdmFile(self.project, points)


def make_up_study(
    structure: REDCapProject | str | Path,
    *,
    records: int = 500,
    seed: int = 1,
    errors: float | Mapping[str, float] = 0,
    events: Sequence[str] = (),
) -> MadeUpStudy:
    """Return a study of made-up records; the same arguments return the same records.

    Args:
        structure: Structure of the project, or the path of a project XML, of JSON of a structure or
            of a data dictionary as CSV. Records in a file are ignored.
        records: Number of records. Defaults to 500.
        seed: Number from which the records are drawn. Defaults to 1.
        errors: How many of the saved forms get a wrong value: a share of 1, over all kinds of
            `KINDS` alike, or a share by kind. At least one of each kind that the dictionary allows.
            Defaults to 0: no record has one.
        events: Unique names of events of a data dictionary, which does not list them, beside those
            that its logic names; ``NAME:repeating`` for an event that repeats. Defaults to none.

    Raises:
        ValueError: The file is not the structure of a project, `records` is negative, or `errors`
            has another kind or is not from 0 to 1.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "visit"},
        ...     {"field_name": "smokes", "form_name": "visit", "field_type": "yesno"},
        ...     {"field_name": "packs", "form_name": "visit", "required_field": "y",
        ...      "text_validation_type_or_show_slider_number": "integer",
        ...      "branching_logic": "[smokes] = '1'"}])
        >>> study = make_up_study(project, records=20)
        >>> {values.get("smokes") for _, values in study.rows if "packs" in values}
        {'1'}
    """
    if records < 0:
        raise ValueError(f"records: give 0 or more; got {records}.")
    shares = _read_shares(errors)
    if not isinstance(structure, REDCapProject):
        structure = read_structure_file(structure, events)
    plan, rng = StudyPlan(structure), Random(seed)  # noqa: S311 made-up values are no secret
    made, reasons = make_records(plan, rng, records)
    planted = plant_errors(plan, made, rng, shares)
    rows = tuple(cells for record in made for cells in _list_cells(record))
    return MadeUpStudy(structure, rows, planted, reasons, plan.circular)


def make_records(
    plan: StudyPlan, rng: Random, number: int
) -> tuple[list[MadeUpRecord], Mapping[str, str]]:
    """Return records without errors, and why required fields are asked in none of them.

    Args:
        plan: The fields with their logic.
        rng: Source of chance.
        number: Number of records, which are named 1, 2, ...
    """
    goals, taken = _Goals.of(plan), set[str]()
    made: list[MadeUpRecord] = []
    sizes = chain((_MADE_FIRST,), repeat(_MADE_TOGETHER))
    while len(made) < number:
        last = min(len(made) + next(sizes), number)
        names = [str(name) for name in range(len(made) + 1, last + 1)]
        made += _make_together(plan, rng, names, goals, taken)
    return made, _explain(plan, goals)


def _read_shares(errors: float | Mapping[str, float]) -> Mapping[str, float]:
    """Return the share of forms with an error of each kind.

    Raises:
        ValueError: There is no such kind, or a share is not from 0 to 1.
    """
    shares = errors if isinstance(errors, Mapping) else dict.fromkeys(KINDS, errors / len(KINDS))
    if unknown := misspelt(shares, KINDS, "errors"):
        raise ValueError(unknown)
    if not all(0 <= share <= 1 for share in shares.values()):
        raise ValueError("errors: give shares from 0 to 1, such as 0.02.")
    return shares


@dataclass(eq=False)
class _Goals:
    """The fields that no record asks so far, with the values with which one would.

    Attributes:
        fields: The fields by name, required ones first.
        values: Values with which branching logic asks a field, or None if none were found.
        attempts: How many records were to ask a field.
    """

    fields: dict[str, FieldPlan]
    values: Mapping[str, Mapping[tuple[str, str, str], str] | None]
    attempts: dict[str, int]

    @classmethod
    def of(cls, plan: StudyPlan) -> "_Goals":
        fields = {
            name: each
            for name, each in plan.fields.items()
            if name != plan.project.record_id_field and (each.required or each.branching)
        }
        ordered = dict(sorted(fields.items(), key=lambda entry: not entry[1].required))
        values = {name: find_goal(plan, each) for name, each in ordered.items()}
        return cls(ordered, values, dict.fromkeys(ordered, 0))

    def choose(self) -> dict[tuple[str, str, str], str]:
        """Return values that ask as many of the fields as do not contradict each other."""
        wishes: dict[tuple[str, str, str], str] = {}
        left = (name for name in self.fields if self.attempts[name] < _MOST_ATTEMPTS)
        for name in islice(left, _MOST_GOALS):
            goal = self.values[name] or {}
            if all(wishes.get(key, value) == value for key, value in goal.items()):
                wishes |= goal
                self.attempts[name] += 1
        return wishes

    def update(self, records: Sequence[MadeUpRecord]) -> None:
        """Remove the fields that records ask."""
        filled = {column for record in records for row in record.rows.values() for column in row}
        for name, plan in list(self.fields.items()):
            if not filled.isdisjoint(plan.blanks):
                del self.fields[name]


def _make_together(
    plan: StudyPlan, rng: Random, names: Sequence[str], goals: _Goals, taken: set[str]
) -> Sequence[MadeUpRecord]:
    """Return records of these names."""
    maker = RecordMaker(plan, rng, taken)
    for name in names:
        wishes = goals.choose()
        group = rng.choice(_GROUPS) if plan.project.has_access_groups else ""
        maker.add_record(name, group, draw_saved_forms(plan, rng, wishes), wishes)
    maker.make_values()
    goals.update(maker.records)
    return maker.records


def _list_cells(record: MadeUpRecord) -> Iterator[Cells]:
    """Yield the cells of a record as the store keeps them: no blanks, and no unticked options."""
    context = {ACCESS_GROUP: record.group} if record.group else {}
    for place, row in record.rows.items():
        values = row | context
        del values[record.plan.project.record_id_field]
        yield make_row_key(record.name, place), values


def make_row_key(record: str, place: Place) -> RowKey:
    """Return the key of a row of a record."""
    kind, instance = place
    return RowKey(record, kind.event, kind.instrument, instance)


def _explain(plan: StudyPlan, goals: _Goals) -> dict[str, str]:
    """Return why required fields are asked in no record."""
    reasons = {}
    for name, each in goals.fields.items():
        if not each.required:
            continue
        if each.hidden:
            reasons[name] = "the action tag @HIDDEN hides it"
        elif each.is_calculated:
            reasons[name] = "its calculation has no result"
        elif each.field.branching_logic.strip() and each.branching is None:
            reasons[name] = "its branching logic cannot be read"
        elif name in plan.circular:
            reasons[name] = "its branching logic is circular"
        elif each.field.field_type in ("radio", "dropdown", "checkbox") and not each.codes:
            reasons[name] = "it does not have choices"
        elif each.branching is None or each.low or each.high:
            reasons[name] = "no value is between its limits"
        elif not each.branching.is_certain:
            reasons[name] = "its branching logic depends on the time, a user or the server"
        elif goals.values[name] is None:
            reasons[name] = "no values were found with which its branching logic asks it"
        else:
            reasons[name] = "no record had the values with which its branching logic asks it"
    return reasons
