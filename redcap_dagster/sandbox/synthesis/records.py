"""One made-up record: its rows, and the value of each field in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from redcap_dagster.project.logic import UNKNOWN, SmartVariable, Unknown
from redcap_dagster.project.logic.values import Value
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.sandbox.synthesis.expressions import Expression, RowKind, Source
from redcap_dagster.sandbox.synthesis.plan import FieldPlan, StudyPlan
from redcap_dagster.sandbox.synthesis.values import Bounds, draw_value, fits

_BLANK_SHARE: Final = 0.05
_CODE_SHARE: Final = 0.02
_TICKED_SHARE: Final = 0.3
_EXCLUSIVE_SHARE: Final = 0.1
_COMPARED_SHARE: Final = 0.3
_STATUSES: Final = "2222222210"
_MOST_ATTEMPTS: Final = 100

Place = tuple[RowKind, int]
"""A row of a record: its kind, and its instance (0 where nothing repeats)."""

Wishes = Mapping[tuple[str, str, str], str]
"""Values that a record is to have, by column, event and instance; both may be blank."""


@dataclass(eq=False)
class MadeUpRecord:
    """A record, whose values are made up in the order in which they are needed.

    Attributes:
        plan: The fields with their logic.
        name: Record id.
        group: Access group; blank for none.
        saved: Instruments that were saved in each row.
        rng: Source of chance.
        wishes: Values that it is to have where it can.
        taken: Values of the secondary unique field in other records; its own are added.
        rows: Values by column of each row.
    """

    plan: StudyPlan
    name: str = field(repr=False)
    group: str
    saved: Mapping[Place, frozenset[str]]
    rng: Random = field(repr=False)
    wishes: Wishes = field(repr=False)
    taken: set[str] = field(repr=False)
    rows: dict[Place, dict[str, str]] = field(default_factory=dict, repr=False)
    _waiting: dict[Place, dict[str, FieldPlan]] = field(default_factory=dict, repr=False)
    _instances: dict[RowKind, list[int]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for place, forms in self.saved.items():
            self.rows[place] = {self.plan.project.record_id_field: self.name}
            self._instances.setdefault(place[0], []).append(place[1])
            self._waiting[place] = {
                plan.name: plan
                for plan in self.plan.kinds[place[0]]
                if plan.field.form_name in forms
            }
        for place, waiting in self._waiting.items():
            for plan in list(waiting.values()):
                self._make_value(plan, place)
        for name in self.plan.circular:
            self._settle(name)
        self._mark_incomplete()

    # -- what logic says ----------------------------------------------------------------------

    def is_asked(self, plan: FieldPlan, place: Place) -> bool:
        """Return whether branching logic certainly asks a field."""
        if plan.branching is None:
            return not plan.field.branching_logic.strip()
        return plan.branching.is_true(self._read_inputs(plan.branching, place)) is True

    def is_hidden(self, plan: FieldPlan, place: Place) -> bool:
        """Return whether branching logic certainly hides a field."""
        if plan.branching is None:
            return False
        return plan.branching.is_true(self._read_inputs(plan.branching, place)) is False

    def calculate(self, plan: FieldPlan, place: Place) -> str | None:
        """Return the value that a calculated field is to have, or None if it cannot be said."""
        if plan.calculation is None:
            return None
        value = plan.calculation.calculate(self._read_inputs(plan.calculation, place))
        return None if value is UNKNOWN else value

    def reads_missing_code(self, expression: Expression, place: Place) -> bool:
        """Return whether a value that logic reads is a missing data code."""
        return not expression.missing_codes.isdisjoint(self._read_inputs(expression, place))

    def find_bounds(self, plan: FieldPlan, place: Place) -> Bounds:
        """Return the least and the greatest value of a field, which other fields may have."""
        limits = [plan.field.text_validation_min, plan.field.text_validation_max]
        for number, expression in enumerate((plan.low, plan.high)):
            if expression is not None:
                value = expression.calculate(self._read_inputs(expression, place))
                limits[number] = "" if value is UNKNOWN else value
        return Bounds(*limits)

    # -- reading ------------------------------------------------------------------------------

    def _read_inputs(self, expression: Expression, place: Place) -> tuple[Value, ...]:
        sources = self.plan.find_sources(place[0], expression)
        if sources.own is not None:  # most are, and their values are there
            values = tuple(map(self.rows[place].get, sources.own))
            if None not in values:
                return values  # type: ignore[return-value]
        return tuple(
            [
                self._read_smart_variable(source, place)
                if isinstance(source, SmartVariable)
                else self._read(source, place)
                for source in sources.inputs
            ]
        )

    def _read(self, source: Source, place: Place) -> str | Unknown:
        if source.kind is not None:
            instance = self._find_instance(source, place)
            if instance is None:
                return UNKNOWN if source.kind in self._instances else ""
            place = (source.kind, instance)
        row = self.rows.get(place)
        if row is None:
            return source.blank if place[1] == 0 else ""
        value = row.get(source.column)
        if value is None:
            if source.field in self._waiting[place]:
                self._make_value(self._waiting[place][source.field], place)
            value = row.get(source.column, source.blank)
        return value.replace(",", ".") if source.comma else value

    def _find_instance(self, source: Source, place: Place) -> int | None:
        """Return the instance that a source means, or None if that cannot be said."""
        instances = self._instances.get(source.kind or place[0], [-1])
        match source.instance:
            case "":
                return 0
            case "first-instance":
                return min(instances)
            case "last-instance":
                return max(instances)
            case "current-instance" if place[1]:
                return place[1]
            case "previous-instance" if place[1]:
                return place[1] - 1
            case "next-instance" if place[1]:
                return place[1] + 1
            case text if text.isdecimal():
                return int(text)
        return None

    def _read_smart_variable(self, variable: SmartVariable, place: Place) -> Value:
        kind, instance = place
        events = {each.unique_event_name: each for each in self.plan.project.events}
        event = events.get(kind.event)
        known: Mapping[str, Value] = {
            "record-name": self.name,
            "record-dag-name": self.group,
            "event-name": kind.event if event else UNKNOWN,
            "event-label": event.event_name if event else UNKNOWN,
            "arm-number": str(event.arm_num) if event else UNKNOWN,
            "current-instance": str(instance) if instance else UNKNOWN,
        }
        if variable.event or variable.instance:
            return UNKNOWN
        return known.get(variable.name, UNKNOWN)

    # -- making up ----------------------------------------------------------------------------

    def _make_value(self, plan: FieldPlan, place: Place) -> None:
        if self._waiting[place].pop(plan.name, None) is None:
            return  # it is being made up: what it needs refers to it
        row = self.rows[place]
        if plan.calculation is not None:
            row[plan.name] = self.calculate(plan, place) or ""
        elif plan.is_calculated:
            row[plan.name] = self._draw_compared(plan, place)
        elif plan.hidden or not self.is_asked(plan, place):
            row |= plan.blanks
        elif plan.field.field_type == "checkbox":
            row |= self._draw_ticks(plan, place)
        elif plan.name == self.plan.project.info.secondary_unique_field:
            row[plan.name] = self._draw_unique(plan, place)
        else:
            row[plan.name] = self._draw(plan, place)

    def _draw_unique(self, plan: FieldPlan, place: Place) -> str:
        """Return a value that no other row has; blank if there are no more."""
        for _ in range(_MOST_ATTEMPTS):
            value = self._draw(plan, place)
            if value and plan.field.field_type == "text" and not plan.field.validation:
                value = f"{value} {len(self.taken) + 1}"
            if value not in self.taken:
                self.taken |= {value} - {""}
                return value
        return ""

    def _draw(self, plan: FieldPlan, place: Place) -> str:
        bounds = self.find_bounds(plan, place)
        wish = self._find_wish(plan.name, place)
        codes = self._list_codes(plan, place)
        if wish and plan.ranked_with and wish not in codes:
            wish = None
        if wish is not None and (fits(plan.field, wish, bounds) if wish else not plan.required):
            return wish
        if plan.is_status:
            return self.rng.choice(_STATUSES)
        share = self.rng.random()
        if not plan.required and share < _BLANK_SHARE:
            return ""
        if share > 1 - _CODE_SHARE and plan.missing_codes and not plan.required:
            return self.rng.choice(plan.missing_codes)
        compared = self.plan.compared.get(plan.name)
        if compared and not plan.codes and self.rng.random() < _COMPARED_SHARE:
            value = self.rng.choice(compared)
            if fits(plan.field, value, bounds):
                return value
        if plan.codes and not codes:
            return ""
        return draw_value(self.rng, plan.field, bounds, codes)[: plan.most_characters]

    def _list_codes(self, plan: FieldPlan, place: Place) -> tuple[str, ...]:
        """Return the codes that can be chosen; in a ranking, those that no other field has."""
        if not plan.ranked_with:
            return plan.codes
        taken = {self.rows[place].get(name) for name in plan.ranked_with}
        return tuple(code for code in plan.codes if code not in taken)

    def _draw_compared(self, plan: FieldPlan, place: Place) -> str:
        """Return a value that logic asks about, for a calculation that only the server knows."""
        wish = self._find_wish(plan.name, place)
        compared = self.plan.compared.get(plan.name)
        if wish is not None or not compared:
            return wish or ""
        return self.rng.choice(compared)

    def _draw_ticks(self, plan: FieldPlan, place: Place) -> dict[str, str]:
        """Return the options of a checkbox, of which some exclude all others."""
        wishes = {name: self._find_wish(name, place) for name, _ in plan.columns}
        ticked = [
            name
            for name, code in plan.columns
            if wishes[name] == "1"
            or (
                wishes[name] is None
                and code in plan.codes
                and self.rng.random()
                < (_EXCLUSIVE_SHARE if code in plan.exclusive else _TICKED_SHARE)
            )
        ]
        if not ticked and plan.required and plan.codes:
            ticked = [self.rng.choice([name for name, code in plan.columns if code in plan.codes])]
        alone = [name for name, code in plan.columns if name in ticked and code in plan.exclusive]
        ticked = alone[:1] or ticked[: plan.most_ticked]
        return {name: str(int(name in ticked)) for name, _ in plan.columns}

    def _find_wish(self, column: str, place: Place) -> str | None:
        if not self.wishes:
            return None
        kind, number = place
        behind = max(self._instances[kind]) - number
        roles = ["", "last-instance"] if behind == 0 else []
        roles += ["previous-instance"] if behind == 1 else []
        roles += ["first-instance"] if number == 1 else []
        for role in (*roles, str(number)):
            for event in (kind.event, ""):
                wish = self.wishes.get((column, event, role))
                if wish is not None:
                    return wish
        return None

    def _settle(self, name: str) -> None:
        """Clear a field whose own logic, by now, does not ask it."""
        plan = self.plan.fields[name]
        for place, row in self.rows.items():
            if plan.name in row and not plan.is_calculated and not self.is_asked(plan, place):
                row |= plan.blanks

    def _mark_incomplete(self) -> None:
        """Mark forms as incomplete in which no value of a required field would be right."""
        for place, row in self.rows.items():
            for plan in self.plan.required[place[0]]:
                status = status_column(plan.field.form_name)
                if status not in row:
                    continue
                is_blank = all(row[column] == blank for column, blank in plan.blanks.items())
                if is_blank and status not in self.plan.dependents and self.is_asked(plan, place):
                    row[status] = "0"
