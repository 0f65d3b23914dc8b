"""Rule D: values below the minimum or above the maximum that the dictionary gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Field, REDCapProject
from redcap_dagster.project.logic import LogicError, Reference, parse_logic
from redcap_dagster.tables.cleaning.column_types import (
    DATE,
    DATETIME,
    DOUBLE_COMMA,
    TIME,
    ColumnType,
    cast_text,
    get_column_type,
)
from redcap_dagster.tables.logic import resolve
from redcap_dagster.tables.quality.descriptions import WITHIN_RANGE
from redcap_dagster.tables.quality.findings import InstrumentRows, RuleFindings, combine

_LIMIT_TYPES = {
    pa.int64(): DOUBLE_COMMA,
    pa.float64(): DOUBLE_COMMA,
    pa.date32(): DATE,
    pa.timestamp("us"): DATETIME,
    pa.time64("us"): TIME,
}
_WITH_LIMITS = ("text", "slider")


@dataclass(frozen=True)
class Ranges:
    """Values of an instrument outside of the dictionary's limits.

    Attributes:
        outside: Count of values below the minimum or above the maximum, by field.
        unevaluated: Limits that were not evaluated, for example ``max today``, by field.
    """

    outside: Mapping[str, int]
    unevaluated: Mapping[str, str]


def check_ranges(cleaned: pa.Table, instrument: str, project: REDCapProject) -> Ranges:
    """Return the counts of values below the minimum or above the maximum of their field.

    A limit is not evaluated if it is not a constant (``today``, ``now``, ``[field]``) or not of the
    column's type, or if the column is text.

    Args:
        cleaned: Clean table of the instrument.
        instrument: Name of the instrument.
        project: Structure of the project.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "a"},
        ...     {"field_name": "age", "form_name": "a", "text_validation_min": "18",
        ...      "text_validation_max": "[oldest]"}])
        >>> check_ranges(pa.table({"id": ["1", "2"], "age": [17, 18]}), "a", project)
        Ranges(outside={'age': 1}, unevaluated={'age': 'max [oldest]'})
    """
    judged = {
        field.field_name: _judge_field(cleaned[field.field_name], field)
        for field in _find_limited_fields(instrument, project)
    }
    return Ranges(
        {name: each.wrong.true_count for name, each in judged.items() if each.wrong.true_count},
        {name: each.unevaluated for name, each in judged.items() if each.unevaluated},
    )


def judge_ranges(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each field with limits whose value is outside of them: rule D.

    A limit can be the value of another field. An invalid value cannot be judged, nor a value inside
    of the limits if one cannot be said.

    Args:
        rows: The rows of an instrument.
    """
    found = []
    for field in _find_limited_fields(rows.instrument, rows.project):
        name = field.field_name
        if name in rows.hidden:
            continue
        values = rows.cleaned.table[name]
        limits, own = _find_limits(field), _resolve_limits(rows, field, values.type)
        judged = _judge_field(values, field, own)
        invalid = rows.cleaned.invalid_rows.get(name)
        certain = judged.certain
        if invalid is not None:
            certain = pc.and_not(certain, combine(invalid))
        read = {name: rows.records[name], **{limits[end]: each.read for end, each in own.items()}}
        found.append(
            rows.make_findings(
                WITHIN_RANGE,
                name,
                judged.wrong,
                certain,
                pa.table(read),
                _describe(field),
                judged.unevaluated,
            )
        )
    return found


@dataclass(frozen=True)
class _Judged:
    wrong: pa.BooleanArray
    certain: pa.BooleanArray
    unevaluated: str


def _find_limited_fields(instrument: str, project: REDCapProject) -> list[Field]:
    return [
        field
        for field in project.instrument_fields(instrument)
        if field.field_type in _WITH_LIMITS and _find_limits(field)
    ]


def _find_limits(field: Field) -> dict[str, str]:
    limits = {"min": field.text_validation_min, "max": field.text_validation_max}
    return {end: limit.strip() for end, limit in limits.items() if limit.strip()}


@dataclass(frozen=True)
class _OwnLimit:
    """A limit that is the value of another field, which differs by row."""

    values: pa.ChunkedArray
    is_known: pa.BooleanArray
    read: pa.StringArray


def _resolve_limits(rows: InstrumentRows, field: Field, kind: pa.DataType) -> dict[str, _OwnLimit]:
    """Return the limits of a field that refer to another field."""
    found: dict[str, _OwnLimit] = {}
    grammar = _find_grammar(field, kind)
    for end, limit in _find_limits(field).items():
        try:
            node = parse_logic(limit)
        except LogicError:
            continue
        if not isinstance(node, Reference) or grammar is None:
            continue
        texts = resolve(rows.study, node, rows.instrument)
        if texts.null_count == len(texts):
            continue
        numbers = pc.if_else(
            rows.study.find_missing_codes(texts), pa.scalar(None, pa.string()), texts
        )
        values = cast_text(pa.chunked_array([numbers]), grammar)
        is_blank = pc.fill_null(pc.equal(texts, ""), False)
        found[end] = _OwnLimit(values, pc.or_(combine(values.is_valid()), is_blank), texts)
    return found


def _judge_field(
    values: pa.ChunkedArray, field: Field, own: Mapping[str, _OwnLimit] | None = None
) -> _Judged:
    own = own or {}
    limits = _find_limits(field)
    known = {
        end: own[end].values if end in own else _read_limit(limit, field, values.type)
        for end, limit in limits.items()
    }
    wrong = combine(_find_outside(values, known))
    others = [
        f"{end} {limits[end]}"
        for end, limit in known.items()
        if end not in own and not limit.is_valid
    ]
    certain = pa.repeat(not others, len(values))
    for limit in own.values():
        certain = pc.and_(certain, limit.is_known)
    certain = pc.or_(certain, pc.or_(wrong, combine(values.is_null())))
    return _Judged(wrong, certain, ", ".join(others))


def _find_grammar(field: Field, kind: pa.DataType) -> ColumnType | None:
    """Return how the limits of a field are written; None if its column has none."""
    if get_column_type(field).arrow == kind == TIME.arrow:
        return get_column_type(field)  # minutes and seconds have a grammar of their own
    return _LIMIT_TYPES.get(kind)


def _read_limit(text: str, field: Field, kind: pa.DataType) -> pa.Scalar:
    """Return a limit as a value of a column's type; null if it is not one."""
    grammar = _find_grammar(field, kind)
    if grammar is None:
        return pa.scalar(None, kind)
    return cast_text(pa.chunked_array([[text]]), grammar)[0]


def _find_outside(
    values: pa.ChunkedArray, limits: Mapping[str, pa.Scalar | pa.ChunkedArray]
) -> pa.ChunkedArray:
    """Return whether each value is outside of the limits that are known."""
    wrong = pa.chunked_array([pa.repeat(False, len(values))])
    for end, is_outside in (("min", pc.less), ("max", pc.greater)):
        if end in limits:
            wrong = pc.or_(wrong, pc.fill_null(is_outside(values, limits[end]), False))
    return wrong


def _describe(field: Field) -> str:
    match _find_limits(field):
        case {"min": low, "max": high}:
            return f"The value is below the minimum {low} or above the maximum {high}."
        case {"min": low}:
            return f"The value is below the minimum {low}."
        case {"max": high}:
            return f"The value is above the maximum {high}."
    return ""
