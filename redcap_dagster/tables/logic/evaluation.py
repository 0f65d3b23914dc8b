"""Logic for all rows of an instrument: each distinct combination of values is evaluated once.

Conditions that are joined are evaluated one by one and joined as columns. A comparison of columns
with many distinct numbers or dates is made by Arrow. Everything else is evaluated by
`project.logic`, whose results all ways have.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project.logic import (
    UNKNOWN,
    Facts,
    Function,
    Junction,
    Literal,
    Node,
    Operation,
    Reference,
    SmartVariable,
    evaluate_calculation,
    evaluate_condition,
    list_references,
    list_smart_variables,
)
from redcap_dagster.tables.logic.comparison import COMPARISONS, compare_columns
from redcap_dagster.tables.logic.resolution import resolve, resolve_smart_variable
from redcap_dagster.tables.logic.study import Numbers, StudyRows

_Variable = Reference | SmartVariable
_Plain = _Variable | Literal
_SAMPLE: Final = 1000
"""How many rows decide whether a column has many distinct values."""


def evaluate_conditions(study: StudyRows, instrument: str, node: Node) -> pa.BooleanArray:
    """Return whether a condition is true in each row of an instrument.

    Args:
        study: The rows of all instruments.
        instrument: Instrument of the rows.
        node: The condition.

    Returns:
        One truth for each row of ``study.tables[instrument]``; null where it cannot be said.

    Raises:
        LogicError: The condition is nested too deeply.

    Example:
        >>> from redcap_dagster.project import REDCapProject
        >>> from redcap_dagster.project.logic import parse_logic
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"}, {"field_name": "age", "form_name": "a"}])
        >>> study = StudyRows(project, {"a": pa.table({"id": ["1", "2", "3"],
        ...                                            "age": ["41", "9", None]})})
        >>> evaluate_conditions(study, "a", parse_logic("[age] >= 40")).to_pylist()
        [True, False, None]
    """
    return _Rows(study, instrument).evaluate_condition(node)


def evaluate_calculations(study: StudyRows, instrument: str, node: Node) -> pa.StringArray:
    """Return the result of a calculation in each row of an instrument, as text.

    Args:
        study: The rows of all instruments.
        instrument: Instrument of the rows.
        node: The calculation.

    Returns:
        One text for each row of ``study.tables[instrument]``: ``""`` if it has no result, null
        where it cannot be said.

    Raises:
        LogicError: The calculation is nested too deeply.
    """
    rows = _Rows(study, instrument)
    return rows.evaluate_distinct(node, evaluate_calculation, pa.string())


@dataclass(frozen=True)
class _Rows:
    """The rows of one instrument, in which logic is evaluated."""

    study: StudyRows
    instrument: str

    def evaluate_condition(self, node: Node) -> pa.BooleanArray:
        match node:
            case Junction(word, conditions):
                join = pc.or_kleene if word == "or" else pc.and_kleene
                return reduce(join, map(self.evaluate_condition, conditions))
            case Function("not", (condition,)):
                return pc.invert(self.evaluate_condition(condition))
            case Operation(sign, left, right) if sign in COMPARISONS:
                if _is_plain(left) and _is_plain(right):
                    return self._compare(node, left, right)
        return self.evaluate_distinct(node, evaluate_condition, pa.bool_())

    def read_values(self, node: Reference | SmartVariable | Literal) -> pa.StringArray:
        """Return the text of a variable or a literal in each row."""
        match node:
            case Reference():
                return resolve(self.study, node, self.instrument)
            case SmartVariable():
                return resolve_smart_variable(self.study, node, self.instrument)
            case Literal(value):
                return pa.repeat(value, self.study.count_rows(self.instrument))

    def evaluate_distinct(
        self, node: Node, evaluate: Callable[[Node, Facts], Any], kind: pa.DataType
    ) -> pa.Array:
        """Return the result of each row, from one evaluation of each combination of values."""
        encoded = {variable: self._encode(variable) for variable in _list_variables(node)}
        return self._evaluate(node, evaluate, kind, encoded, self.study.count_rows(self.instrument))

    def _compare(self, node: Operation, left: _Plain, right: _Plain) -> pa.BooleanArray:
        """Compare by Arrow if there are many distinct values; what it cannot compare, by logic."""
        if not any(map(self._is_varied, _list_variables(node))):
            return self.evaluate_distinct(node, evaluate_condition, pa.bool_())
        texts = {side: self.read_values(side) for side in (left, right)}
        compared, is_compared = compare_columns(
            node.sign, texts[left], texts[right], self.study.missing_codes
        )
        others = np.flatnonzero(~is_compared.to_numpy(zero_copy_only=False))
        if not len(others):
            return compared
        chosen = pa.array(others)
        encoded = {side: _encode(texts[side].take(chosen)) for side in _list_variables(node)}
        results = self._evaluate(node, evaluate_condition, pa.bool_(), encoded, len(others))
        return pc.replace_with_mask(compared, pc.invert(is_compared), results)

    def _is_varied(self, variable: _Variable) -> bool:
        """Whether most of the first rows have values that differ."""

        def count_in_sample() -> bool:
            sample = self.read_values(variable)[:_SAMPLE]
            return bool(2 * pc.count_distinct(sample).as_py() > len(sample))

        return self.study.remember(("is varied", self.instrument, variable), count_in_sample)

    def _evaluate(
        self,
        node: Node,
        evaluate: Callable[[Node, Facts], Any],
        kind: pa.DataType,
        encoded: Mapping[_Variable, "_Encoded"],
        count: int,
    ) -> pa.Array:
        codes, first = _combine([each.codes for each in encoded.values()], count)
        texts = [
            each.texts.take(pa.array(each.codes[first])).to_pylist() for each in encoded.values()
        ]
        results = []
        for values in zip(*texts, strict=True) if texts else [()] * len(first):
            known = dict(zip(encoded, values, strict=True))
            result = evaluate(node, self._make_facts(known))
            results.append(None if result is UNKNOWN else result)
        return pa.array(results, kind).take(pa.array(codes))

    def _make_facts(self, texts: Mapping[Any, str | None]) -> Facts:
        def read(variable: _Variable) -> Any:
            text = texts[variable]
            return UNKNOWN if text is None else text

        return Facts(read, read, self.study.missing_codes, other_dates=self.study.other_dates)

    def _encode(self, variable: _Variable) -> "_Encoded":
        key = ("encoded", self.instrument, variable)
        return self.study.remember(key, lambda: _encode(self.read_values(variable)))


@dataclass(frozen=True)
class _Encoded:
    """A column as numbers: the position of each row's text among the distinct ones."""

    codes: Numbers
    texts: pa.StringArray


def _encode(values: pa.StringArray) -> _Encoded:
    encoded = values.dictionary_encode(null_encoding="encode")
    return _Encoded(encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary)


def _combine(columns: Sequence[Numbers], count: int) -> tuple[Numbers, Numbers]:
    """Return the number of each row's combination, and the first row of each combination."""
    combined = columns[0] if columns else np.zeros(count, np.int64)
    for codes in columns[1:]:
        size = int(codes.max(initial=0)) + 1
        encoded = pa.array(combined.astype(np.int64) * size + codes).dictionary_encode()
        combined = encoded.indices.to_numpy(zero_copy_only=False)
    first = np.zeros(int(combined.max(initial=-1)) + 1, np.int64)
    first[combined[::-1]] = np.arange(count)[::-1]
    return combined, first


def _is_plain(node: Node) -> TypeGuard[_Plain]:
    return isinstance(node, Reference | SmartVariable | Literal)


def _list_variables(node: Node) -> tuple[_Variable, ...]:
    return (*list_references(node), *list_smart_variables(node))
