"""The project's own rules of data quality: what they are, and which instruments they name."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from redcap_dagster.options import option
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.project.logic import LogicError, Node, list_references, parse_logic
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.tables.logic import StudyRows, names_field
from redcap_dagster.tables.quality.descriptions import RuleDescription


@option
class QualityRule:
    """A rule of the project's own: a row in which its logic is true is a discrepancy.

    Attributes:
        name: Name of the rule.
        logic: Logic, as on REDCap's Data Quality page. Defaults to blank, for a rule of unique
            fields.
        unique: Fields of one instrument whose values together must be unique. Defaults to none.
        severity: ``warn`` or ``error``, of a check that finds a discrepancy. Defaults to ``warn``.

    Example:
        >>> QualityRule("Adults only", "[age] < 18").check_name
        'rule_adults_only'
    """

    name: str
    logic: str = ""
    unique: Sequence[str] = ()
    severity: Literal["warn", "error"] = "warn"

    def __post_init__(self) -> None:
        object.__setattr__(self, "unique", tuple(self.unique))
        if not self.name.strip() or bool(self.logic.strip()) == bool(self.unique):
            raise ValueError(
                f"The quality rule {self.name!r} needs a name and either logic or unique fields."
            )

    @property
    def check_name(self) -> str:
        """Name of the rule's check: letters, digits and underscores."""
        words = re.findall(r"[a-z0-9]+", self.name.lower())
        return "_".join(["rule", *words])[:100]


@dataclass(frozen=True)
class OwnRule:
    """A rule of the project's own, in a project.

    Attributes:
        rule: The rule.
        check: Name of its check.
        instruments: The instruments in whose rows it is evaluated; the first has its check. All of
            the project's, if it cannot be evaluated.
        node: Its logic; None for a rule of unique fields.
        problem: Why it cannot be evaluated. Defaults to blank: it can be.
    """

    rule: QualityRule
    check: str
    instruments: tuple[str, ...]
    node: Node | None = dataclasses.field(repr=False)
    problem: str = ""

    @property
    def description(self) -> RuleDescription:
        """The name of the rule, and what it expects."""
        expects = f"In no row is it true that {self.rule.logic.strip()}"
        if self.rule.unique:
            expects = f"No two rows have the same values of {list_names(self.rule.unique)}."
        return RuleDescription(self.rule.name, "", expects)


def resolve_rules(rules: Sequence[QualityRule], project: REDCapProject) -> tuple[OwnRule, ...]:
    """Return the rules with their logic and instruments.

    A rule that cannot be read, or that names fields which the project does not have, has a
    ``problem``: a field may be renamed in REDCap at any time, and the others are evaluated.

    Args:
        rules: The rules.
        project: Structure of the project.

    Raises:
        StructureError: Rules have the same name; the message has it.
    """
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StructureError(f"Quality rules have the same name: {twice}. Rename them.")
    found: list[OwnRule] = []
    for rule in rules:
        own = _resolve_rule(rule, project)
        taken = {each.check for each in found}
        checks = [own.check, *(f"{own.check}_{number}" for number in range(2, len(rules) + 2))]
        found.append(replace(own, check=next(name for name in checks if name not in taken)))
    return tuple(found)


def describe_problems(rules: Sequence[OwnRule]) -> str:
    """Return a sentence that names the rules which cannot be evaluated; blank without any."""
    problems = [f"{own.rule.name!r}: {own.problem}" for own in rules if own.problem]
    if not problems:
        return ""
    return (
        f"Quality rules that cannot be evaluated: {'; '.join(problems)}. Correct them, or leave "
        "them out."
    )


def _resolve_rule(rule: QualityRule, project: REDCapProject) -> OwnRule:
    try:
        return _read_rule(rule, project)
    except (LogicError, StructureError) as error:
        every = tuple(form.instrument_name for form in project.instruments)
        return OwnRule(rule, rule.check_name, every, None, f"{error}")


def _read_rule(rule: QualityRule, project: REDCapProject) -> OwnRule:
    forms = {
        each.field_name: form.instrument_name
        for form in project.instruments
        for each in project.instrument_fields(form.instrument_name)
    }
    record_id = project.fields[0]
    if rule.unique:
        node, names, options = None, list(rule.unique), []
    else:
        node = parse_logic(rule.logic)
        references = list_references(node)
        names = [reference.field for reference in references]
        study = StudyRows(project, {})
        options = [str(each) for each in references if not names_field(study, each)]
    unknown = [name for name in names if name not in forms and name != record_id.field_name]
    if unknown:
        raise StructureError(f"the project does not have the fields {list_names(unknown)}")
    if options:
        raise StructureError(
            f"the project does not have the options {list_names(options)}; a checkbox needs the "
            "code of an option, other fields must not have one"
        )
    own = list(dict.fromkeys(forms[name] for name in names if name in forms))
    if rule.unique and len(own) != 1:
        raise StructureError("its unique fields must be of one instrument")
    if rule.unique and any(
        each.field_type == "checkbox" for each in project.fields if each.field_name in names
    ):
        raise StructureError("checkboxes cannot be unique")
    return OwnRule(rule, rule.check_name, tuple(own) or (record_id.form_name,), node)
