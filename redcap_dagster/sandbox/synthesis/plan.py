"""What a dictionary says about each field, compiled once for all records."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from redcap_dagster.project import Column, Field, REDCapProject
from redcap_dagster.project.action_tags import list_action_tags, read_calculation
from redcap_dagster.project.columns import is_status_field, is_timestamp_field
from redcap_dagster.project.logic import Literal, Operation, Reference
from redcap_dagster.project.logic.tree import walk_nodes
from redcap_dagster.project.logic.values import to_number, to_text
from redcap_dagster.sandbox.store.columns import index_columns
from redcap_dagster.sandbox.store.row_keys import list_row_forms
from redcap_dagster.sandbox.synthesis.expressions import (
    Expression,
    RowKind,
    Sources,
    find_sources,
    parse_expression,
    read_tag,
)
from redcap_dagster.sandbox.synthesis.values import Bounds, Drawer, make_drawer


@dataclass(frozen=True, eq=False, slots=True)
class FieldPlan:
    """A field with its logic.

    Attributes:
        field: The field.
        name: Its name.
        columns: Its export columns, with the code of each option of a checkbox.
        codes: Codes that a person can choose.
        branching: When it is asked; None if always, or if that is not logic.
        calculation: How it is calculated, or None.
        low: Least value, if another field has it.
        high: Greatest value, likewise.
        blanks: Values of its columns if nobody entered anything.
        is_calculated: Whether the server, not a person, gives the value.
        required: Whether it must not be blank.
        hidden: Whether an action tag hides it always.
        is_status: Whether it is the status of its form.
        is_system: Whether REDCap adds it to each form: the status, and the timestamp of a survey.
        draw: What draws a value, unless other fields have its limits.
        missing_codes: Missing data codes that it takes.
        exclusive: Codes of a checkbox that exclude all others.
        most_ticked: How many options of a checkbox can be ticked, or None.
        ranked_with: Names of the other fields of its matrix, if each code is chosen once in it.
    """

    field: Field
    name: str
    columns: tuple[tuple[str, str], ...]
    codes: tuple[str, ...]
    branching: Expression | None
    calculation: Expression | None
    low: Expression | None
    high: Expression | None
    blanks: Mapping[str, str]
    is_calculated: bool
    required: bool
    hidden: bool
    is_status: bool
    is_system: bool
    draw: Drawer
    missing_codes: tuple[str, ...] = ()
    exclusive: frozenset[str] = frozenset()
    most_ticked: int | None = None
    ranked_with: tuple[str, ...] = ()

    @property
    def may_be_hidden(self) -> bool:
        """Whether an action tag hides it, always or under a condition."""
        return "@HIDDEN" in self.field.field_annotation

    @property
    def expressions(self) -> Iterator[Expression]:
        """All logic that decides its value."""
        several = (self.branching, self.calculation, self.low, self.high)
        return (each for each in several if each is not None)


class StudyPlan:
    """The fields of a project with their logic, in the order of their references.

    Attributes:
        project: Structure of the project.
        columns: Export columns by name.
        fields: Fields by name, in an order in which what is referred to comes first.
        circular: Names of the fields whose logic refers to itself, perhaps by other fields.
    """

    def __init__(self, project: REDCapProject) -> None:
        self.project = project
        self.columns: Mapping[str, Column] = index_columns(project)
        columns: dict[str, list[Column]] = {}
        for column in self.columns.values():
            columns.setdefault(column.field.field_name, []).append(column)
        expressions: dict[tuple[str, bool], Expression | None] = {}

        def parse(text: str, of_number: bool) -> Expression | None:
            if (text, of_number) not in expressions:
                expression = parse_expression(project, text, of_number=of_number)
                expressions[text, of_number] = expression
            return expressions[text, of_number]

        plans = {
            name: _plan_field(project, own[0].field, own, parse) for name, own in columns.items()
        }
        order, self.circular = _sort_fields(plans)
        self.fields = {name: plans[name] for name in order}
        self._sources: dict[RowKind, dict[Expression, Sources]] = {kind: {} for kind in self.kinds}

    @cached_property
    def kinds(self) -> Mapping[RowKind, Sequence[FieldPlan]]:
        """The fields of each kind of row, in the order of their references."""
        project = self.project
        events = [event.unique_event_name for event in project.events] or [""]
        found: dict[RowKind, Sequence[FieldPlan]] = {}
        for event in events:
            for instrument in ("", *(each.instrument_name for each in project.instruments)):
                forms = set(list_row_forms(project, event, instrument))
                if forms:
                    found[RowKind(event, instrument)] = [
                        plan for plan in self.fields.values() if plan.field.form_name in forms
                    ]
        return found

    @cached_property
    def required(self) -> Mapping[str, Sequence[FieldPlan]]:
        """The required fields of each form that people fill."""
        found: dict[str, list[FieldPlan]] = {}
        for plan in self.fields.values():
            if plan.required and not plan.is_calculated:
                found.setdefault(plan.field.form_name, []).append(plan)
        return found

    @cached_property
    def dependents(self) -> Mapping[str, Sequence[FieldPlan]]:
        """The fields whose logic refers to a field, by its name."""
        found: dict[str, dict[str, FieldPlan]] = {}
        for plan in self.fields.values():
            for name in _list_referred(plan):
                found.setdefault(name, {})[plan.name] = plan
        return {name: tuple(plans.values()) for name, plans in found.items()}

    def list_dependent(self, names: Iterable[str]) -> Iterator[FieldPlan]:
        """Yield fields, and those that depend on them, in the order of their references."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [each.name for each in self.dependents.get(name, ())]
        return (plan for name, plan in self.fields.items() if name in found)

    @cached_property
    def compared(self) -> Mapping[str, Sequence[str]]:
        """The values that logic compares a field with, and numbers beside them, by its name."""
        found: dict[str, dict[str, None]] = {}
        for plan in self.fields.values():
            nodes = (node for each in plan.expressions for node in walk_nodes(each.node))
            for node in nodes:
                match node:
                    case Operation(_, Reference(name), Literal(text)):
                        found.setdefault(name, {}).update(dict.fromkeys(_list_beside(text)))
                    case Operation(_, Literal(text), Reference(name)):
                        found.setdefault(name, {}).update(dict.fromkeys(_list_beside(text)))
        return {name: tuple(filter(None, values)) for name, values in found.items()}

    def find_sources(self, kind: RowKind, expression: Expression) -> Sources:
        """Return where rows of a kind find the inputs of an expression."""
        known = self._sources[kind]
        found = known.get(expression)
        if found is None:
            found = find_sources(self.project, self.columns, expression, kind)
            known[expression] = found
        return found


def _plan_field(
    project: REDCapProject,
    field: Field,
    columns: Sequence[Column],
    parse: Callable[[str, bool], Expression | None],
) -> FieldPlan:
    tags = list_action_tags(field.field_annotation)
    codes = tuple(choice.code for choice in field.choices)
    shown = set(codes) - set(_read_codes(field, "HIDECHOICE"))
    missing = tuple(choice.code for choice in project.missing_data_codes)
    most = read_tag(field, "MAXCHECKED")
    longest = (
        read_tag(field, "CHARLIMIT") if field.field_type != "text" or not field.validation else ""
    )
    is_ranked = field.matrix_ranking.lower() == "y" and field.matrix_group_name
    is_status = is_status_field(field)
    is_system = is_status or is_timestamp_field(field)
    names = [column.name for column in columns]
    low, high = field.text_validation_min, field.text_validation_max
    chosen = tuple(code for code in codes if code in shown) or codes
    draw = make_drawer(field, Bounds(low, high), chosen)
    most_characters = int(longest) if longest.isdecimal() else None
    return FieldPlan(
        field,
        field.field_name,
        tuple((column.name, column.choice.code if column.choice else "") for column in columns),
        chosen,
        parse(field.branching_logic, False),
        parse(read_calculation(field), field.field_type == "calc"),
        parse(low, False) if "[" in low else None,
        parse(high, False) if "[" in high else None,
        dict.fromkeys(names, "0" if field.field_type == "checkbox" else ""),
        field.is_calculated,
        field.is_required,
        any(tag.name == "HIDDEN" and not tag.conditions for tag in tags),
        is_status,
        is_system,
        lambda rng: draw(rng)[:most_characters],
        () if "@NOMISSING" in field.field_annotation or is_system else missing,
        frozenset(_read_codes(field, "NONEOFTHEABOVE")),
        int(most) if most.isdecimal() else None,
        tuple(
            each.field_name
            for each in (project.fields if is_ranked else ())
            if each.matrix_group_name == field.matrix_group_name and each != field
        ),
    )


def _read_codes(field: Field, tag: str) -> list[str]:
    """Return the codes of an action tag, such as ``@HIDECHOICE='1,2'``."""
    return [code.strip() for code in read_tag(field, tag).split(",") if code.strip()]


def _list_beside(text: str) -> list[str]:
    """Return a value, and if it is a number the next greater and smaller whole steps."""
    number = to_number(text)
    return [text] if number is None else [text, to_text(number + 1), to_text(number - 1)]


def _list_referred(plan: FieldPlan) -> Iterator[str]:
    return (
        each.field
        for expression in plan.expressions
        for each in expression.inputs
        if isinstance(each, Reference)
    )


def _sort_fields(plans: Mapping[str, FieldPlan]) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of fields, those that are referred to first, and the circular ones."""
    order: dict[str, None] = {}
    path: dict[str, None] = {}
    circular: dict[str, None] = {}
    for start in plans:
        waiting = [(start, _list_needed(plans[start]))] if start not in order else []
        path = dict.fromkeys([start])
        while waiting:
            name, needed = waiting[-1]
            following = next(needed, None)
            if following is None:
                waiting.pop()
                path.pop(name, None)
                order[name] = None
            elif following in path:
                names = list(path)
                circular |= dict.fromkeys(names[names.index(following) :])
            elif following in plans and following not in order:
                path[following] = None
                waiting.append((following, _list_needed(plans[following])))
    return list(order), tuple(circular)


def _list_needed(plan: FieldPlan) -> Iterator[str]:
    """Yield the fields that logic refers to in the row itself, or in one of which it depends."""
    return (
        each.field
        for expression in plan.expressions
        for each in expression.inputs
        if isinstance(each, Reference) and not each.event and not each.instance
    )
