"""One made-up record: its rows, and what logic says of their values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from redcap_dagster.project.logic import UNKNOWN, SmartVariable, Unknown
from redcap_dagster.project.logic.values import Value
from redcap_dagster.sandbox.synthesis.expressions import Expression, Inputs, RowKind, Source
from redcap_dagster.sandbox.synthesis.plan import FieldPlan, StudyPlan
from redcap_dagster.sandbox.synthesis.values import Bounds

Place = tuple[RowKind, int]
"""A row of a record: its kind, and its instance (0 where nothing repeats)."""


@dataclass(eq=False)
class MadeUpRecord:
    """A record, whose values may still have to be made up when logic reads them.

    Attributes:
        plan: The fields with their logic.
        name: Record id.
        group: Access group; blank for none.
        saved: Instruments that were saved in each row.
        prepare: Makes up the values of a field in a place, unless they are there.
        rows: Values by column of each row, without blanks and unticked options.
        instances: Instances of the rows of each kind.
    """

    plan: StudyPlan
    name: str = field(repr=False)
    group: str
    saved: Mapping[Place, frozenset[str]]
    prepare: Callable[[str, Place], None] = field(repr=False)
    rows: dict[Place, dict[str, str]] = field(init=False, repr=False)
    instances: dict[RowKind, list[int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        id_field = self.plan.project.record_id_field
        self.rows = {place: {id_field: self.name} for place in self.saved}
        self.instances = {}
        for kind, instance in self.saved:
            self.instances.setdefault(kind, []).append(instance)

    def get_values(self, plan: FieldPlan, place: Place) -> dict[str, str]:
        """Return the value of each column of a field."""
        row = self.rows[place]
        return {column: row.get(column, blank) for column, blank in plan.blanks.items()}

    def set_values(self, plan: FieldPlan, place: Place, values: Mapping[str, str]) -> None:
        """Replace values of columns of a field."""
        row = self.rows[place]
        for column, value in values.items():
            if value == plan.blanks[column]:
                row.pop(column, None)
            else:
                row[column] = value

    def is_filled(self, plan: FieldPlan, place: Place) -> bool:
        """Return whether a field has a value."""
        return not self.rows[place].keys().isdisjoint(plan.blanks)

    # -- what logic says ----------------------------------------------------------------------

    def is_asked(self, plan: FieldPlan, place: Place) -> bool:
        """Return whether branching logic certainly asks a field."""
        if plan.branching is None:
            return not plan.field.branching_logic.strip()
        return plan.branching.is_true(self.read_inputs(plan.branching, place)) is True

    def is_hidden(self, plan: FieldPlan, place: Place) -> bool:
        """Return whether branching logic certainly hides a field."""
        if plan.branching is None:
            return False
        return plan.branching.is_true(self.read_inputs(plan.branching, place)) is False

    def calculate(self, plan: FieldPlan, place: Place) -> str | None:
        """Return the value that a calculated field is to have, or None if it cannot be said."""
        if plan.calculation is None:
            return None
        value = plan.calculation.calculate(self.read_inputs(plan.calculation, place))
        return None if value is UNKNOWN else value

    def reads_missing_code(self, expression: Expression, place: Place) -> bool:
        """Return whether a value that logic reads is a missing data code."""
        return not expression.missing_codes.isdisjoint(self.read_inputs(expression, place))

    def find_bounds(self, plan: FieldPlan, place: Place) -> Bounds:
        """Return the least and the greatest value of a field, which other fields may have."""
        limits = [plan.field.text_validation_min, plan.field.text_validation_max]
        for number, expression in enumerate((plan.low, plan.high)):
            if expression is not None:
                value = expression.calculate(self.read_inputs(expression, place))
                limits[number] = "" if value is UNKNOWN else value
        return Bounds(*limits)

    # -- reading ------------------------------------------------------------------------------

    def read_inputs(self, expression: Expression, place: Place) -> Inputs:
        """Return the values that logic reads."""
        sources = self.plan.find_sources(place[0], expression)
        if sources.own is not None:  # most are
            get = self.rows[place].get
            return tuple([get(column, blank) for column, blank in sources.own])
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
                return UNKNOWN if source.kind in self.instances else ""
            place = (source.kind, instance)
        row = self.rows.get(place)
        if row is None:
            return source.blank if place[1] == 0 else ""
        self.prepare(source.field, place)
        value = row.get(source.column, source.blank)
        return value.replace(",", ".") if source.comma else value

    def _find_instance(self, source: Source, place: Place) -> int | None:
        """Return the instance that a source means, or None if that cannot be said."""
        instances = self.instances.get(source.kind or place[0], [-1])
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
