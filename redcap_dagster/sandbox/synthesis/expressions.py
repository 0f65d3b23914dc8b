"""The logic of a dictionary, parsed once and evaluated once for each combination of its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

from redcap_dagster.project import Column, Field, REDCapProject
from redcap_dagster.project.action_tags import list_action_tags
from redcap_dagster.project.logic import (
    Facts,
    Literal,
    LogicError,
    Node,
    Reference,
    SmartVariable,
    Unknown,
    evaluate_calculated_field,
    evaluate_calculation,
    evaluate_condition,
    list_references,
    list_smart_variables,
    parse_logic,
)
from redcap_dagster.project.logic.events import find_event
from redcap_dagster.project.logic.tree import walk_nodes
from redcap_dagster.project.logic.values import Value
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.sandbox.store.row_keys import list_row_forms

NOW: Final = datetime(2026, 1, 1)  # noqa: DTZ001 a server's time has no zone
"""Time at which made-up records were entered: a constant, so that they depend on the seed alone."""

CERTAIN_VARIABLES: Final = frozenset(
    {
        "record-name",
        "record-dag-name",
        "event-name",
        "event-label",
        "arm-number",
        "current-instance",
    }
)
"""Smart variables whose values a record has."""

Input = Reference | SmartVariable
Inputs = tuple[Value, ...]
"""The value of each input of an expression, in the order of its inputs."""


class RowKind(NamedTuple):
    """The rows of an event in which the same instruments are.

    Attributes:
        event: Unique event name; blank in a classic project.
        instrument: Repeating instrument; blank for all that do not repeat in the event.
    """

    event: str = ""
    instrument: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a row of one kind finds the value of a reference.

    Attributes:
        column: Export column; blank if no row can have it.
        field: Name of the column's field. Defaults to a blank.
        kind: Kind of the row that has the value; None for the row itself.
        instance: Instance of that row, as in a `Reference`; blank where nothing repeats, and `ANY`
            where it is not said which one is meant.
        blank: Value of a cell that was never saved. Defaults to a blank.
        comma: Whether the decimal character of the stored value is a comma. Defaults to False.
    """

    column: str
    field: str = ""
    kind: RowKind | None = None
    instance: str = ""
    blank: str = ""
    comma: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """Where rows of one kind find the inputs of an expression.

    Attributes:
        inputs: The source of each input; smart variables stand for themselves.
        own: Columns of the row itself that have all inputs, each with the value of a cell that was
            never saved; None if one is elsewhere.
    """

    inputs: tuple[Source | SmartVariable, ...]
    own: tuple[tuple[str, str], ...] | None


ANY: Final = "any"
"""Instance of a reference that may mean any row."""

_ONLY_INSTANCE: Final = ("", "1", "current-instance", "first-instance", "last-instance")


@dataclass(frozen=True, eq=False)
class Expression:
    """Logic with its results so far.

    Attributes:
        node: The logic.
        missing_codes: Missing data codes of the project. Defaults to none.
        of_number: Whether it calculates a number, so that a text counts as a blank. Defaults to
            False.
    """

    node: Node
    missing_codes: frozenset[str] = frozenset()
    of_number: bool = False
    _truths: dict[Inputs, bool | Unknown] = field(default_factory=dict, repr=False)
    _texts: dict[Inputs, str | Unknown] = field(default_factory=dict, repr=False)

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """What the result depends on."""
        return (*list_references(self.node), *list_smart_variables(self.node))

    @cached_property
    def is_certain(self) -> bool:
        """Whether its result does not depend on the clock, a user or the server."""
        literals = (each.value for each in walk_nodes(self.node) if isinstance(each, Literal))
        return not {"today", "now"}.intersection(literals) and all(
            each.name in CERTAIN_VARIABLES for each in list_smart_variables(self.node)
        )

    def is_true(self, values: Inputs) -> bool | Unknown:
        """Return whether the logic is true with these values of its inputs."""
        found = self._truths.get(values)
        if found is None:
            found = self._truths[values] = evaluate_condition(self.node, self._facts(values))
        return found

    def calculate(self, values: Inputs) -> str | Unknown:
        """Return the result of the logic with these values of its inputs."""
        found = self._texts.get(values)
        if found is None:
            evaluate = evaluate_calculated_field if self.of_number else evaluate_calculation
            found = self._texts[values] = evaluate(self.node, self._facts(values))
        return found

    def _facts(self, values: Inputs) -> Facts:
        known: Mapping[Input, Value] = dict(zip(self.inputs, values, strict=True))
        return Facts(known.__getitem__, known.__getitem__, self.missing_codes, NOW)  # type: ignore[arg-type]


def parse_expression(
    project: REDCapProject, text: str, *, of_number: bool = False
) -> Expression | None:
    """Return the expression of a text, or None for a blank one and for one that is not logic."""
    if not text.strip():
        return None
    try:
        codes = frozenset(choice.code for choice in project.missing_data_codes)
        return Expression(parse_logic(text), codes, of_number)
    except LogicError:
        return None


def read_tag(field: Field, name: str) -> str:
    """Return the argument of an action tag that always applies; a blank without one."""
    tags = list_action_tags(field.field_annotation)
    return next((tag.argument for tag in tags if tag.name == name and not tag.conditions), "")


def find_sources(
    project: REDCapProject, columns: Mapping[str, Column], expression: Expression, kind: RowKind
) -> Sources:
    """Return where a row finds the inputs of an expression.

    Args:
        project: Structure of the project.
        columns: Its export columns by name.
        expression: The expression.
        kind: Kind of the row that has it.
    """
    inputs = tuple(
        find_source(project, columns, each, kind) if isinstance(each, Reference) else each
        for each in expression.inputs
    )
    own = [
        (each.column, each.blank)
        for each in inputs
        if isinstance(each, Source) and each.kind is None and not each.comma
    ]
    return Sources(inputs, tuple(own) if len(own) == len(inputs) else None)


def find_source(
    project: REDCapProject, columns: Mapping[str, Column], reference: Reference, kind: RowKind
) -> Source:
    """Return where a row finds the value of a reference, as clean tables resolve it.

    Without an event, a reference means the event of the row; without an instance, that of the row
    if it repeats with the field.

    Args:
        project: Structure of the project.
        columns: Its export columns by name.
        reference: The reference.
        kind: Kind of the row that refers.
    """
    name = reference.field
    if reference.code is not None:
        name = project.export_column(reference.field, reference.code)
    column = columns.get(name)
    if name == project.record_id_field:
        return Source(name)
    if column is None:
        return Source("")
    form, instance = column.field.form_name, reference.instance
    event = find_event(project, reference.event, kind.event, form)
    place = RowKind(event or "")
    if event in project.events_where_repeating(form):
        place = RowKind(event or "", form)
    if event is None or form not in list_row_forms(project, place.event, place.instrument):
        return Source("")
    repeats = bool(place.instrument) or event in project.repeating_events
    if repeats:
        instance = instance or ("" if place == kind else ANY)
    else:
        instance = "" if instance in _ONLY_INSTANCE else ANY
    return Source(
        name,
        column.field.field_name,
        None if place == kind and not instance else place,
        instance,
        "0" if column.choice is not None or name == status_column(form) else "",
        column.field.validation.endswith("_comma_decimal"),
    )
