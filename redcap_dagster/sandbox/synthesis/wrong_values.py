"""Wrong values by kind: which fields admit one, and what it is in a cell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from redcap_dagster.sandbox.store.row_keys import RowKey
from redcap_dagster.sandbox.synthesis.plan import FieldPlan, StudyPlan
from redcap_dagster.sandbox.synthesis.records import MadeUpRecord, Place
from redcap_dagster.sandbox.synthesis.values import (
    find_invalid_value,
    find_other_value,
    find_values_out_of_range,
    make_drawer,
)

_UNKNOWN_CODES: Final = ("77", "88", "unknown")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a made-up record: a field in a row."""

    record: MadeUpRecord
    place: Place
    plan: FieldPlan

    @property
    def row_key(self) -> RowKey:
        """Record, event, instrument and instance of the row."""
        kind, instance = self.place
        return RowKey(self.record.name, kind.event, kind.instrument, instance)


def admits_error(plan: StudyPlan, kind: str, field: FieldPlan) -> bool:
    """Return whether the dictionary allows an error of a kind in a field."""
    of_person = not field.is_calculated and not field.is_system
    match kind:
        case "B":
            return field.required and of_person and not field.may_be_hidden
        case "C":
            return of_person and bool(find_invalid_value(field.field))
        case "D":
            limits = field.field.text_validation_min + field.field.text_validation_max
            return of_person and field.field.field_type == "text" and bool(limits)
        case "F":
            return of_person and field.branching is not None and field.branching.is_certain
        case "G":
            return of_person and bool(field.codes) and field.field.field_type != "checkbox"
        case "H":
            return field.calculation is not None and field.calculation.is_certain
        case "unique":
            return field.name == plan.project.info.secondary_unique_field
        case "none_of_the_above":
            codes = {code for _, code in field.columns}
            return bool(field.exclusive & codes and codes - field.exclusive)
        case "max_checked":
            most = field.most_ticked
            return most is not None and len(set(field.codes) - field.exclusive) > most
    return False


def make_wrong_value(
    records: Sequence[MadeUpRecord], rng: Random, kind: str, cell: Cell
) -> Mapping[str, str] | None:
    """Return the columns of a cell with a wrong value, or None if it cannot have one."""
    record, field, name = cell.record, cell.plan, cell.plan.name
    if record.is_filled(field, cell.place) == (kind == "F"):
        return None
    match kind:
        case "B":
            return field.blanks
        case "C":
            return {name: find_invalid_value(field.field)}
        case "D":
            beyond = find_values_out_of_range(field.field, record.find_bounds(field, cell.place))
            return {name: rng.choice(beyond)} if beyond else None
        case "F" if field.field.field_type == "checkbox":
            return {**field.blanks, rng.choice(list(field.blanks)): "1"} if field.codes else None
        case "F":
            bounds = record.find_bounds(field, cell.place)
            value = make_drawer(field.field, bounds, field.codes)(rng)
            return {name: value} if value else None
        case "G":
            known = {choice.code for choice in field.field.choices} | set(field.missing_codes)
            other = [code for code in _UNKNOWN_CODES if code not in known]
            return {name: other[0]} if other else None
        case "H":
            return {name: find_other_value(field.field, record.rows[cell.place][name])}
        case "unique":
            return _take_value(records, rng, cell)
    by_code = {code: column for column, code in field.columns}
    ordinary = [code for code in field.codes if code not in field.exclusive]
    if kind == "max_checked":
        chosen = ordinary[: (field.most_ticked or 0) + 1]
    else:
        chosen = [*sorted(field.exclusive.intersection(by_code))[:1], *ordinary[:1]]
    return {**field.blanks, **dict.fromkeys((by_code[code] for code in chosen), "1")}


def _take_value(
    records: Sequence[MadeUpRecord], rng: Random, cell: Cell
) -> Mapping[str, str] | None:
    """Return a value that one other record has."""
    name = cell.plan.name
    others = [
        row[name]
        for record in records
        if record.name != cell.record.name
        for row in record.rows.values()
        if row.get(name) and row[name] not in cell.plan.missing_codes
    ]
    alone = sorted(value for value, count in Counter(others).items() if count == 1)
    return {name: rng.choice(alone)} if alone else None


def find_same_values(records: Sequence[MadeUpRecord], cell: Cell) -> list[RowKey]:
    """Return the other rows that have the value of a cell."""
    name = cell.plan.name
    value = cell.record.rows[cell.place].get(name)
    return [
        Cell(record, place, cell.plan).row_key
        for record in records
        for place, row in record.rows.items()
        if row.get(name) == value and (record, place) != (cell.record, cell.place)
    ]
