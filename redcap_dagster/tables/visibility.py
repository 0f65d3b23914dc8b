"""Was it asked: whether each field was shown in each row, by branching logic and action tags.

REDCap has a third way to hide: form display logic and the survey queue hide whole instruments. The
API does not export them, so they are not known here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import NOT_COMPLETED, Field, REDCapProject
from redcap_dagster.project.action_tags import ActionTag, list_action_tags, read_calculation
from redcap_dagster.project.logic import LogicError, Node, Reference, list_references, parse_logic
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import timestamp_column
from redcap_dagster.tables.logic import StudyRows, evaluate_conditions, names_field

_HIDING: Final = ("HIDDEN", "HIDDEN-FORM", "HIDDEN-SURVEY")


@dataclass(frozen=True, slots=True)
class LogicProblem:
    """Branching logic, a calculation, or a condition of an action tag that cannot be evaluated.

    Attributes:
        field: Name of the field.
        instrument: Its instrument.
        text: What is wrong, without values.
    """

    field: str
    instrument: str
    text: str


def find_asked(study: StudyRows, instrument: str) -> Mapping[str, pa.BooleanArray]:
    """Return whether each field of an instrument was asked, in each row.

    A field is not asked where its branching logic is false, or where it is hidden by ``@HIDDEN``,
    also inside of ``@IF``. ``@HIDDEN-SURVEY`` hides it where the instrument was completed as a
    survey, ``@HIDDEN-FORM`` where it was not filled in as a survey.

    Args:
        study: The rows of all instruments.
        instrument: Name of the instrument.

    Returns:
        By name of the field: True where it was asked, False where it was not, null where that
        cannot be said.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"}, {"field_name": "sex", "form_name": "a"},
        ...     {"field_name": "due", "form_name": "a", "branching_logic": "[sex] = '1'"}])
        >>> study = StudyRows(project, {"a": pa.table({"id": ["1", "2"], "sex": ["1", None]})})
        >>> find_asked(study, "a")["due"].to_pylist()
        [True, False]
    """

    def find(field: Field) -> pa.BooleanArray:
        tags = [tag for tag in list_action_tags(field.field_annotation) if tag.name in _HIDING]
        hidden = [_find_hidden(study, instrument, tag) for tag in tags]
        asked = _find_shown(study, instrument, field)
        return reduce(pc.and_kleene, map(pc.invert, hidden), asked)

    return study.remember_always(("asked", instrument), lambda: _find_all(study, instrument, find))


def find_shown(study: StudyRows, instrument: str) -> Mapping[str, pa.BooleanArray]:
    """Return whether each field of an instrument is shown by its branching logic, in each row.

    Args:
        study: The rows of all instruments.
        instrument: Name of the instrument.

    Returns:
        By name of the field: True, False, or null where it cannot be said.
    """

    def find(field: Field) -> pa.BooleanArray:
        return _find_shown(study, instrument, field)

    return study.remember_always(("shown", instrument), lambda: _find_all(study, instrument, find))


def _find_all(
    study: StudyRows, instrument: str, find: Callable[[Field], pa.BooleanArray]
) -> Mapping[str, pa.BooleanArray]:
    return {field.field_name: find(field) for field in study.project.instrument_fields(instrument)}


def _find_shown(study: StudyRows, instrument: str, field: Field) -> pa.BooleanArray:
    if not field.branching_logic.strip():
        return _repeat(study, instrument, value=True)
    return _evaluate(study, instrument, field.branching_logic)


def _evaluate(study: StudyRows, instrument: str, text: str) -> pa.BooleanArray:
    """Return whether logic is true in each row; null if it cannot be read."""
    node = _read_logic(text)
    if isinstance(node, LogicError):
        return _repeat(study, instrument, value=None)

    def evaluate() -> pa.BooleanArray:
        try:
            return evaluate_conditions(study, instrument, node)
        except LogicError:
            return _repeat(study, instrument, value=None)

    return study.remember(("condition", instrument, text), evaluate)


def _repeat(study: StudyRows, instrument: str, *, value: bool | None) -> pa.BooleanArray:
    return study.remember(
        ("same", instrument, value),
        lambda: pa.repeat(pa.scalar(value, pa.bool_()), study.count_rows(instrument)),
    )


def list_deciding_references(field: Field) -> tuple[Reference, ...]:
    """Return the references that decide whether a field is asked, each once.

    Args:
        field: The field.
    """
    nodes = [_read_logic(text) for text in _list_texts(field)]
    found = [list_references(node) for node in nodes if not isinstance(node, LogicError)]
    return tuple(dict.fromkeys(reference for references in found for reference in references))


def _list_texts(field: Field) -> dict[str, str]:
    """Return the logic that decides whether a field is asked, with what it is."""
    texts: dict[str, str] = {}
    if field.branching_logic.strip():
        texts[field.branching_logic] = "its branching logic"
    for tag in list_action_tags(field.field_annotation):
        if tag.name in _HIDING:
            texts |= {text: f"the @IF around its @{tag.name}" for text, _ in tag.conditions}
    return texts


# -- action tags ----------------------------------------------------------------------------------


def _find_hidden(study: StudyRows, instrument: str, tag: ActionTag) -> pa.BooleanArray:
    """Return whether a tag hides its field in each row."""
    hidden = _find_hidden_by(study, instrument, tag.name)
    for text, holds in tag.conditions:
        condition = _evaluate(study, instrument, text)
        hidden = pc.and_kleene(hidden, condition if holds else pc.invert(condition))
    return hidden


def _find_hidden_by(study: StudyRows, instrument: str, name: str) -> pa.BooleanArray:
    if name == "HIDDEN":
        return _repeat(study, instrument, value=True)
    as_survey = _find_survey_responses(study, instrument)
    return as_survey if name == "HIDDEN-SURVEY" else pc.invert(as_survey)


def _find_survey_responses(study: StudyRows, instrument: str) -> pa.BooleanArray:
    """Return whether the instrument was answered as a survey in each row, by its timestamp."""
    if instrument not in study.project.surveys:
        return _repeat(study, instrument, value=False)
    name = timestamp_column(instrument)
    if name not in study.tables[instrument].column_names:
        return _repeat(study, instrument, value=None)
    timestamp = study.read_column(instrument, name)
    is_open = pc.fill_null(pc.equal(timestamp, NOT_COMPLETED), False)
    # A response in progress may have been continued by the staff.
    return pc.if_else(is_open, pa.scalar(None, pa.bool_()), pc.is_valid(timestamp))


# -- problems of the dictionary -------------------------------------------------------------------


def list_logic_problems(project: REDCapProject) -> tuple[LogicProblem, ...]:
    """Return the fields whose branching logic, calculation or action tags cannot be evaluated.

    Logic that cannot be read, that refers to fields or options that the project does not have, or
    that depends on itself through the branching logic of other fields.

    Args:
        project: Structure of the project.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "due", "form_name": "a", "branching_logic": "[sex] = '1'"}])
        >>> [problem.text for problem in list_logic_problems(project)]
        ['its branching logic refers to what the project does not have: sex']
    """
    study = StudyRows(project, {})
    calculations = [
        LogicProblem(field.field_name, field.form_name, f"its calculation {wrong}")
        for field in project.fields
        if (text := read_calculation(field)).strip() and (wrong := _describe_problem(study, text))
    ]
    return (*_list_problems_of_asking(study), *calculations)


def _list_problems_of_asking(study: StudyRows) -> tuple[LogicProblem, ...]:
    """Return what is wrong with the logic that decides whether fields are asked."""
    project = study.project
    circular = _find_circular(project)
    problems: list[LogicProblem] = []
    for field in project.fields:
        for text, what in _list_texts(field).items():
            wrong = _describe_problem(study, text)
            if wrong:
                problems.append(LogicProblem(field.field_name, field.form_name, f"{what} {wrong}"))
        if field.field_name in circular:
            text = "its branching logic depends on itself"
            problems.append(LogicProblem(field.field_name, field.form_name, text))
    return tuple(problems)


def find_logic_problems(study: StudyRows) -> Mapping[str, str]:
    """Return why it cannot be evaluated whether fields are asked, by name of the field.

    Args:
        study: The rows of all instruments, of whose project the fields are.
    """

    def find() -> Mapping[str, str]:
        return {problem.field: problem.text for problem in _list_problems_of_asking(study)}

    return study.remember_always("logic problems", find)


def _describe_problem(study: StudyRows, text: str) -> str:
    node = _read_logic(text)
    if isinstance(node, LogicError):
        return f"cannot be read: {node}"
    unknown = [each for each in list_references(node) if not names_field(study, each)]
    names = list_names(list(dict.fromkeys(_describe(each) for each in unknown)))
    return f"refers to what the project does not have: {names}" if unknown else ""


def _describe(reference: Reference) -> str:
    return reference.field if reference.code is None else f"{reference.field}({reference.code})"


def _find_circular(project: REDCapProject) -> frozenset[str]:
    """Return the fields whose branching logic depends on itself, in the same row."""
    needs = {
        field.field_name: {
            reference.field for reference in _list_own_references(field.branching_logic)
        }
        for field in project.fields
    }
    while True:
        needed = {name for names in needs.values() for name in names}
        left = {
            name: names & needs.keys()
            for name, names in needs.items()
            if name in needed and names & needs.keys()
        }
        if left == needs:
            return frozenset(needs)
        needs = left


def _list_own_references(text: str) -> list[Reference]:
    node = _read_logic(text) if text.strip() else None
    if node is None or isinstance(node, LogicError):
        return []
    return [each for each in list_references(node) if not (each.event or each.instance)]


@lru_cache(maxsize=10_000)
def _read_logic(text: str) -> Node | LogicError:
    try:
        return parse_logic(text)
    except LogicError as error:
        return LogicError(str(error))
