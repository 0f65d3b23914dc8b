"""What the project's own rules find, row by row.

REDCap evaluates a rule once for each row of a record: its events, and the instances in them. In the
row of an instance, a field of an instrument that does not repeat has the value of its event; in the
row of the event itself, a field of a repeating instrument is blank. So are rules evaluated here, in
the rows of all instruments that a rule names.
"""

from collections.abc import Collection, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project.logic import Node, list_references
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import REPEAT_INSTRUMENT
from redcap_dagster.tables.logic import StudyRows, evaluate_conditions, find_column, resolve
from redcap_dagster.tables.quality.findings import RuleFindings, combine
from redcap_dagster.tables.quality.own_rules import OwnRule


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
