"""The logic of a dictionary, parsed once and evaluated once for each combination of its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

from redcap_dagster.project import Column, Field, REDCapProject
from redcap_dagster.project.logic import (
    Facts,
    LogicError,
    Node,
    Reference,
    SmartVariable,
    Unknown,
    evaluate_calculation,
    evaluate_condition,
    list_references,
    list_smart_variables,
    parse_logic,
)
from redcap_dagster.project.logic.events import find_event
from redcap_dagster.project.logic.values import Value
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.sandbox.store.row_keys import list_row_forms

NOW: Final = datetime(2026, 1, 1)  # noqa: DTZ001 a server's time has no zone
"""Time at which made-up records were entered: a constant, so that they depend on the seed alone."""

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
        field: Name of the column's field.
        kind: Kind of the row that has the value; None for the row itself.
        instance: Instance of that row, as in a `Reference`. Defaults to a blank.
        blank: Value of a cell that was never saved. Defaults to a blank.
        comma: Whether the decimal character of the stored value is a comma. Defaults to False.
    """

    column: str
    field: str = ""
    kind: RowKind | None = None
    instance: str = ""
    blank: str = ""
    comma: bool = False


@dataclass(frozen=True, eq=False)
class Expression:
    """Logic with its results so far.

    Attributes:
        node: The logic.
        missing_codes: Missing data codes of the project.
    """

    node: Node
    missing_codes: frozenset[str] = frozenset()
    _truths: dict[Inputs, bool | Unknown] = field(default_factory=dict, repr=False)
    _texts: dict[Inputs, str | Unknown] = field(default_factory=dict, repr=False)

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """What the result depends on."""
        return (*list_references(self.node), *list_smart_variables(self.node))

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
            found = self._texts[values] = evaluate_calculation(self.node, self._facts(values))
        return found

    def _facts(self, values: Inputs) -> Facts:
        known: Mapping[Input, Value] = dict(zip(self.inputs, values, strict=True))
        return Facts(known.__getitem__, known.__getitem__, self.missing_codes, NOW)  # type: ignore[arg-type]


def parse_expression(project: REDCapProject, text: str) -> Expression | None:
    """Return the expression of a text, or None for a blank one and for one that is not logic."""
    if not text.strip():
        return None
    try:
        return Expression(
            parse_logic(text), frozenset(choice.code for choice in project.missing_data_codes)
        )
    except LogicError:
        return None


def find_calculation(field: Field) -> str:
    """Return the logic by which a field is calculated, or a blank.

    Example:
        >>> find_calculation(
        ...     Field("bmi", "visit", field_annotation="@HIDDEN @CALCTEXT(if([a]=1,'(',''))"))
        "if([a]=1,'(','')"
    """
    if field.field_type == "calc":
        return field.select_choices_or_calculations
    _, tag, rest = field.field_annotation.partition("@CALCTEXT(")
    depth, quote = 1, ""
    for at, letter in enumerate(rest if tag else ""):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter == "(") - (letter == ")")
            if not depth:
                return rest[:at]
    return ""


def find_source(
    project: REDCapProject, columns: Mapping[str, Column], reference: Reference, kind: RowKind
) -> Source:
    """Return where a row finds the value of a reference.

    A reference without event and instance means the row itself, or else the row of the event that
    does not repeat.

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
    place: RowKind | None = None
    if reference.event or instance:
        event = find_event(project, reference.event, kind.event, form)
        if event is None:
            return Source("")
        place = RowKind(event, form if event in project.events_where_repeating(form) else "")
        instance = instance or "current-instance"
        repeats = bool(place.instrument) or event in project.repeating_events
        instance = instance if repeats else ""
    elif form not in list_row_forms(project, kind.event, kind.instrument):
        place = RowKind(kind.event)
    found = place or kind
    if form not in list_row_forms(project, found.event, found.instrument):
        return Source("")
    is_option = column.choice is not None
    return Source(
        name,
        column.field.field_name,
        place,
        instance,
        "0" if is_option or name == status_column(form) else "",
        column.field.validation.endswith("_comma_decimal"),
    )
