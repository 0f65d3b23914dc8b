"""Errors that are put into made-up records, with what each brings with it."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, islice
from random import Random
from typing import Final

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import (
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
)
from redcap_dagster.sandbox.store.row_keys import RowKey
from redcap_dagster.sandbox.synthesis.judge import find_findings, is_mostly_blank
from redcap_dagster.sandbox.synthesis.plan import FieldPlan, StudyPlan
from redcap_dagster.sandbox.synthesis.records import MadeUpRecord, Place
from redcap_dagster.sandbox.synthesis.wrong_values import (
    Cell,
    admits_error,
    find_same_values,
    make_wrong_value,
)

KINDS: Final[Mapping[str, str]] = {
    "B": "a required field that was asked is blank",
    "C": "the field's validation refuses the value",
    "D": "the value is out of range",
    "F": "a field that branching logic hides has a value",
    "G": "the choice does not exist",
    "H": "the calculated value is wrong",
    "unique": "another record has the value of the secondary unique field",
    "none_of_the_above": "an option that excludes all others is ticked beside another",
    "max_checked": "more options are ticked than @MAXCHECKED allows",
}
"""Kinds of errors; the letters are those of REDCap's rules of data quality."""

_TRIES: Final = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong in a cell.

    Attributes:
        kind: Kind of the error, as in `KINDS`.
        row_key: Record, event, instrument and instance of the row.
        field: Name of the field.
    """

    kind: str
    row_key: RowKey
    field: str


@dataclass(frozen=True, slots=True)
class PlantedError(Finding):
    """A value that was made wrong, with what else is wrong because of it.

    Attributes:
        consequences: Fields that a wrong value hides although they are filled, or asks although
            they are required and blank; calculations that are due; other rows with the value of
            the secondary unique field.
    """

    consequences: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The wrong value itself, and its consequences."""
        return (self, *self.consequences)


def plant_errors(
    plan: StudyPlan,
    records: Sequence[MadeUpRecord],
    rng: Random,
    shares: Mapping[str, float],
) -> tuple[PlantedError, ...]:
    """Return the errors that were put into records, whose values are changed.

    At least one of each kind, if the dictionary and the records allow it. A third of them are in
    fields that other logic refers to.

    Args:
        plan: The fields with their logic.
        records: The records.
        rng: Source of chance.
        shares: How many of the saved forms get an error, by kind.
    """
    forms = sum(len(saved) for record in records for saved in record.saved.values())
    planted: list[PlantedError] = []
    taken: set[tuple[RowKey, str]] = set()
    for kind, share in shares.items():
        if share <= 0:
            continue
        fields = [each for each in plan.fields.values() if admits_error(plan, kind, each)]
        drivers = [each for each in fields if each.name in plan.dependents]
        for number in range(max(1, round(share * forms))):
            chosen = drivers if drivers and number % 3 == 0 else fields
            found = _plant(plan, records, rng, kind, chosen, taken)
            if found is None:
                found = _plant(plan, records, rng, kind, fields, taken)
            if found is None:
                break
            planted.append(found)
            taken |= {(each.row_key, each.field) for each in found.findings}
    return tuple(planted)


def _plant(
    plan: StudyPlan,
    records: Sequence[MadeUpRecord],
    rng: Random,
    kind: str,
    fields: Sequence[FieldPlan],
    taken: Set[tuple[RowKey, str]],
) -> PlantedError | None:
    """Return an error of a kind, which is put into a cell that is drawn, or else into the first."""
    if not fields or not records:
        return None
    drawn = filter(None, (_draw_cell(records, rng, fields) for _ in range(_TRIES)))
    for cell in chain(drawn, islice(_list_cells(records, fields), 20 * _TRIES)):
        if (cell.row_key, cell.plan.name) in taken:
            continue
        found = _try_cell(plan, records, rng, kind, cell)
        if found is not None:
            return found
    return None


def _draw_cell(
    records: Sequence[MadeUpRecord], rng: Random, fields: Sequence[FieldPlan]
) -> Cell | None:
    record, field = rng.choice(records), rng.choice(fields)
    places = [place for place, forms in record.saved.items() if field.field.form_name in forms]
    return Cell(record, rng.choice(places), field) if places else None


def _list_cells(records: Sequence[MadeUpRecord], fields: Sequence[FieldPlan]) -> Iterator[Cell]:
    for record in records:
        for place, forms in record.saved.items():
            yield from (
                Cell(record, place, each) for each in fields if each.field.form_name in forms
            )


def _try_cell(
    plan: StudyPlan, records: Sequence[MadeUpRecord], rng: Random, kind: str, cell: Cell
) -> PlantedError | None:
    """Return the error of a cell, or None if it is not certain: the cell is as it was."""
    record, place, field = cell.record, cell.place, cell.plan
    if find_findings(record, field, place):
        return None
    wrong = make_wrong_value(records, rng, kind, cell)
    if wrong is None:
        return None
    needing = plan.dependents.get(field.name, ())
    if not all(_is_judged(each, field) for each in needing):
        return None
    scope = [(place, field), *((at, each) for each in needing for at in _find_places(record, each))]
    before = {(at, each): find_findings(record, each, at) for at, each in scope}
    kept = record.get_values(field, place)
    record.set_values(field, place, wrong)
    after = {(at, each): find_findings(record, each, at) for at, each in scope}
    own = after[place, field]
    rules = {kind} if kind in "BCDFGH" else set()
    stays = all(before[key] <= found for key, found in after.items())
    forms = {(each.field.form_name, at) for at, each in scope}
    if own != rules or not stays or any(is_mostly_blank(record, *each) for each in forms):
        record.set_values(field, place, kept)
        return None
    consequences = [
        Finding(letter, Cell(record, at, each).row_key, each.name)
        for (at, each), found in after.items()
        for letter in sorted(found - before[at, each])
        if (at, each) != (place, field)
    ]
    if kind == "unique":
        same = find_same_values(records, cell)
        consequences += [Finding(kind, row_key, field.name) for row_key in same]
    return PlantedError(kind, cell.row_key, field.name, tuple(consequences))


def _find_places(record: MadeUpRecord, field: FieldPlan) -> list[Place]:
    return [place for place, forms in record.saved.items() if field.field.form_name in forms]


def _is_judged(field: FieldPlan, changed: FieldPlan) -> bool:
    """Return whether it can be said what a change of another field means for a field."""
    limits = [each for each in (field.low, field.high) if each is not None]
    return all(each.is_certain for each in field.expressions) and not any(
        changed.name in {getattr(each, "field", "") for each in limit.inputs} for limit in limits
    )


def write_errors(
    project: REDCapProject, errors: Sequence[PlantedError]
) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a table of all that is wrong, with a header.

    Args:
        project: Structure of the project.
        errors: What was made wrong.
    """
    keys = (project.record_id_field, EVENT_NAME, REPEAT_INSTRUMENT, REPEAT_INSTANCE)
    yield ("error", "planted", "kind", *keys, "field")
    for number, error in enumerate(errors, 1):
        for each in error.findings:
            key = each.row_key
            instance = str(key.instance) if key.instance else ""
            place = (key.record, key.event, key.instrument, instance)
            yield (str(number), str(int(each is error)), each.kind, *place, each.field)
