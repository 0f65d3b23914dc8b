"""The values with which a field is asked: branching logic, solved by trying values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from math import prod
from typing import Final

from redcap_dagster.project.logic import (
    Facts,
    Function,
    Junction,
    Literal,
    Node,
    Operation,
    Reference,
    evaluate_condition,
    list_references,
    list_smart_variables,
)
from redcap_dagster.project.logic.tree import walk_nodes
from redcap_dagster.sandbox.synthesis.expressions import NOW
from redcap_dagster.sandbox.synthesis.plan import FieldPlan, StudyPlan
from redcap_dagster.sandbox.synthesis.values import list_numbers

_MOST_COMBINATIONS: Final = 2000
"""Combinations of likely values that are tried; a comparison with more is left to chance."""

_MOST_ATTEMPTS: Final = 40
_DEEPEST: Final = 12

Solution = Mapping[Reference, str]
"""Values of references."""


def find_goal(plan: StudyPlan, field: FieldPlan) -> dict[tuple[str, str, str], str] | None:
    """Return values with which branching logic asks a field, or None if none were found.

    They are given by column, event and instance. Fields that must be asked themselves are asked.

    Args:
        plan: The fields with their logic.
        field: The field.
    """
    found = next(_ask(plan, field, Reference(field.name), {}, _DEEPEST), None)
    if found is None:
        return None
    return {
        (_find_column(plan, each), each.event, each.instance): value
        for each, value in found.items()
    }


def _find_column(plan: StudyPlan, reference: Reference) -> str:
    if reference.code is None:
        return reference.field
    return plan.project.export_column(reference.field, reference.code)


def _ask(
    plan: StudyPlan, field: FieldPlan, at: Reference, known: Solution, depth: int
) -> Iterator[Solution]:
    """Yield what makes a field asked in the place that a reference has, beside what is known."""
    if field.branching is None:
        yield known
        return
    for solution in islice(_solve(plan, field.branching.node, True), _MOST_ATTEMPTS):
        yield from _join(plan, _place(solution, at), known, depth)


def _join(plan: StudyPlan, needed: Solution, known: Solution, depth: int) -> Iterator[Solution]:
    """Yield what is known with what is needed in addition, and what that needs in turn."""
    if any(known.get(each, value) != value for each, value in needed.items()) or depth == 0:
        return
    new = [each for each in needed if each not in known]
    solutions: Iterator[Solution] = iter([{**known, **needed}])
    for reference in new:
        field = plan.fields.get(reference.field)
        if field is None or needed[reference] in ("", "0" if reference.code else ""):
            continue
        solutions = _extend(plan, field, reference, needed[reference], solutions, depth - 1)
    yield from solutions


def _extend(
    plan: StudyPlan,
    field: FieldPlan,
    at: Reference,
    value: str,
    solutions: Iterator[Solution],
    depth: int,
) -> Iterator[Solution]:
    """Yield solutions in which a field has a value: it is asked, or calculated so."""
    for known in solutions:
        if field.calculation is None:
            yield from islice(_ask(plan, field, at, known, depth), 1)
            continue
        equal = Operation("=", field.calculation.node, Literal(value))
        for solution in islice(_solve(plan, equal, True), _MOST_ATTEMPTS):
            yield from islice(_join(plan, _place(solution, at), known, depth), 1)


def _place(solution: Solution, at: Reference) -> Solution:
    """Return a solution of a field's logic in the event and the instance where the field is."""
    return {
        replace(each, event=each.event or at.event, instance=each.instance or at.instance): value
        for each, value in solution.items()
    }


def _solve(plan: StudyPlan, node: Node, truth: bool) -> Iterator[Solution]:
    """Yield values of references with which a condition is true, or false."""
    match node:
        case Junction(word, conditions) if (word == "and") == truth:
            yield from _solve_all(plan, conditions, truth, {})
        case Junction(_, conditions):
            for condition in conditions:
                yield from _solve(plan, condition, truth)
        case Function("not", (condition,)):
            yield from _solve(plan, condition, not truth)
        case Operation(sign, Function("if", (condition, first, second)), right):
            chosen = Junction("and", (condition, Operation(sign, first, right)))
            other = Junction("and", (Function("not", (condition,)), Operation(sign, second, right)))
            yield from _solve(plan, Junction("or", (chosen, other)), truth)
        case _:
            yield from _try_values(plan, node, truth)


def _solve_all(
    plan: StudyPlan, conditions: Sequence[Node], truth: bool, known: Solution
) -> Iterator[Solution]:
    if not conditions:
        yield known
        return
    first, *others = conditions
    for solution in _solve(plan, first, truth):
        if all(known.get(each, value) == value for each, value in solution.items()):
            yield from _solve_all(plan, others, truth, {**known, **solution})


def _try_values(plan: StudyPlan, node: Node, truth: bool) -> Iterator[Solution]:
    """Yield those of the likely values of references with which a comparison has a result."""
    references = list_references(node)
    likely = [_list_values(plan, each, node) for each in references]
    if prod(map(len, likely)) > _MOST_COMBINATIONS or list_smart_variables(node):
        yield {}  # left to chance
        return
    for values in product(*likely):
        solution = dict(zip(references, values, strict=True))
        if evaluate_condition(node, Facts(solution.__getitem__, now=NOW)) is truth:
            yield solution


def _list_values(plan: StudyPlan, reference: Reference, node: Node) -> Sequence[str]:
    """Return likely values of a reference: codes, and what logic compares it with."""
    if reference.code is not None:
        return ("1", "0")
    field = plan.fields.get(reference.field)
    if field is None:
        return ("",)
    if field.codes:
        return (*field.codes, "")
    nodes = [*walk_nodes(node)]
    if field.calculation is not None:
        nodes += walk_nodes(field.calculation.node)
    literals = [each.value for each in nodes if isinstance(each, Literal) and each.value]
    likely = [*plan.compared.get(reference.field, ()), *literals, *list_numbers(field.field)]
    return tuple(dict.fromkeys([*likely, "other", ""]))
