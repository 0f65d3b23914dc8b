"""The project's own rules of data quality: what they are, and what they find.

REDCap evaluates a rule once for each row of a record: its events, and the instances in them. In the
row of an instance, a field of an instrument that does not repeat has the value of its event; in the
row of the event itself, a field of a repeating instrument is blank. So are rules evaluated here, in
the rows of all instruments that a rule names.
"""

import dataclasses
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.options import option
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.project.logic import LogicError, Node, list_references, parse_logic
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import REPEAT_INSTRUMENT
from redcap_dagster.tables.logic import (
    StudyRows,
    evaluate_conditions,
    find_column,
    names_field,
    resolve,
)
from redcap_dagster.tables.quality.descriptions import RuleDescription
from redcap_dagster.tables.quality.findings import RuleFindings, combine


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


def judge_own_rule(study: StudyRows, own: OwnRule, *, is_whole: bool = True) -> list[RuleFindings]:
    """Return the rows in which a rule is certainly true, of each instrument that it names.

    A row that instruments share is that of the first of them which has it.

    Args:
        study: The rows of all instruments.
        own: The rule.
        is_whole: Whether the study has the records of all buckets and access groups, which a rule
            of unique fields needs. Defaults to True.
    """
    found = []
    taken: list[pd.MultiIndex] = []
    for instrument in own.instruments:
        if instrument not in study.tables:
            continue
        if own.problem:
            found.append(_judge_nothing(study, own, instrument))
            continue
        keys = _index_keys(study, instrument)
        first = np.full(len(keys), True)
        for others in taken:
            first &= ~keys.isin(others)
        taken.append(keys)
        found.append(_judge_instrument(study, own, instrument, first, is_whole=is_whole))
    return found


def _judge_nothing(study: StudyRows, own: OwnRule, instrument: str) -> RuleFindings:
    """Return that it cannot be said of any row whether a rule is true."""
    nowhere = pa.repeat(False, study.count_rows(instrument))
    return RuleFindings(
        own.rule.name, "", instrument, "", nowhere, nowhere, _read_nothing(nowhere), own.problem
    )


def _read_nothing(rows: pa.BooleanArray) -> pa.Table:
    return pa.table({"": pa.nulls(len(rows), pa.string())})


def _judge_instrument(
    study: StudyRows,
    own: OwnRule,
    instrument: str,
    first: npt.NDArray[np.bool_],
    *,
    is_whole: bool,
) -> RuleFindings:
    """Return what a rule finds in the rows of an instrument that are not those of another."""
    count = study.count_rows(instrument)
    if own.node is None:
        shown = [name for name in own.rule.unique if name in study.tables[instrument].column_names]
        is_shown = len(shown) == len(own.rule.unique)
        read = {name: study.tables[instrument][name] for name in shown}
        wrong = find_duplicates(study, instrument, shown) if is_shown else pa.repeat(False, count)
        certain = pa.repeat(True, count) if is_whole and is_shown else wrong
        if is_shown and not is_whole:
            certain = pc.or_(wrong, pc.invert(_find_filled(study, instrument, shown)))
        text = f"Another row has the same values of {list_names(own.rule.unique)}."
    else:
        read = {str(each): resolve(study, each, instrument) for each in list_references(own.node)}
        truth = _evaluate(study, own.node, instrument)
        wrong, certain = combine(truth), truth.is_valid()
        text = f"The rule {own.rule.name!r} is true."
    wrong = pc.and_(wrong, pa.array(first))
    certain = pc.or_(certain, pa.array(~first))
    return RuleFindings(
        own.rule.name,
        "",
        instrument,
        "",
        wrong,
        certain,
        pa.table(read) if read else _read_nothing(wrong),
        text,
        f"{certain.false_count} rows" if certain.false_count else "",
    )


def _evaluate(study: StudyRows, node: Node, instrument: str) -> pa.BooleanArray:
    """Return whether a rule is true in each row, with fields of instances blank outside of them."""
    truth = evaluate_conditions(study, instrument, node)
    in_instance = _find_form_instances(study, instrument)
    if in_instance.true_count == len(in_instance):
        return truth
    explicit = {each.field for each in list_references(node) if each.instance}
    without_instances = {
        name: table
        if name == instrument or explicit.intersection(table.column_names)
        else table.filter(pc.invert(_find_form_instances(study, name)))
        for name, table in study.tables.items()
        if name in _list_instruments(study, node) or name == instrument
    }
    base_rows = StudyRows(study.project, without_instances, study.find_moment)
    outside = evaluate_conditions(base_rows, instrument, node)
    return pc.if_else(in_instance, truth, outside)


def _list_instruments(study: StudyRows, node: Node) -> Collection[str]:
    columns = (find_column(study, reference) for reference in list_references(node))
    return {column.field.form_name for column in columns if column is not None}


def _find_form_instances(study: StudyRows, instrument: str) -> pa.BooleanArray:
    """Return whether each row is an instance of the instrument itself, not of its event."""
    table = study.tables[instrument]
    if REPEAT_INSTRUMENT not in table.column_names:
        return pa.repeat(False, table.num_rows)
    return combine(pc.equal(table[REPEAT_INSTRUMENT], instrument))


def _index_keys(study: StudyRows, instrument: str) -> pd.MultiIndex:
    """Return the keys of an instrument's rows, the same for the same row of an export."""
    keys = study.find_keys(instrument)
    own = list(study.project.instruments).index(
        next(each for each in study.project.instruments if each.instrument_name == instrument)
    )
    of_form = np.where(
        _find_form_instances(study, instrument).to_numpy(zero_copy_only=False), own, -1
    )
    return pd.MultiIndex.from_arrays([keys.record, keys.event, of_form, keys.instance])


def find_duplicates(study: StudyRows, instrument: str, fields: Sequence[str]) -> pa.BooleanArray:
    """Return whether each row has the values of another row in some fields, all of them filled.

    A missing data code is not a value.

    Args:
        study: The rows of all instruments.
        instrument: Instrument of the rows.
        fields: Columns of its records table.
    """
    columns = [study.read_column(instrument, field) for field in fields]
    texts = [
        pc.fill_null(column.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False)
        for column in columns
    ]
    _, where, counts = np.unique(np.stack(texts), axis=1, return_inverse=True, return_counts=True)
    filled = _find_filled(study, instrument, fields)
    return pc.and_(filled, pa.array(counts[where.reshape(-1)] > 1))


def _find_filled(study: StudyRows, instrument: str, fields: Sequence[str]) -> pa.BooleanArray:
    """Return whether each row has a value other than a missing data code in all of some fields."""
    columns = [study.read_column(instrument, field) for field in fields]
    return reduce(
        pc.and_, [pc.and_not(each.is_valid(), study.find_missing_codes(each)) for each in columns]
    )
