"""Rules B and F: required fields that were asked and are blank, hidden fields that have a value."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Column, Field
from redcap_dagster.project.logic import Reference
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.tables.logic import find_column, resolve
from redcap_dagster.tables.quality.descriptions import HIDDEN_FILLED, REQUIRED_FILLED
from redcap_dagster.tables.quality.findings import InstrumentRows, RuleFindings, combine
from redcap_dagster.tables.visibility import (
    find_asked,
    find_logic_problems,
    find_shown,
    list_deciding_references,
)

_COMPLETE = "2"
_FEWEST = 2
"""Number of blanks that make one finding of the form, if they are most of its required fields."""

Booleans = npt.NDArray[np.bool_]


def judge_required(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each required field that was asked and is blank: rule B.

    Any entry fills a field, also a missing data code; a checkbox needs a ticked option. Rows in
    which several and more than half of the required fields that were asked are blank are found
    once, as rows of the form: then the fields are not judged. Blanks in rows that are not judged,
    such as those that are not marked Complete, cannot be said.

    Args:
        rows: The rows of an instrument; ``required_of`` says which of them are judged.

    Returns:
        The findings of each field, and last those of the form. Fields that export rights hide are
        left out.
    """
    fields = {field: columns for field, columns in rows.group_columns() if field.is_required}
    status = status_column(rows.instrument)
    if not fields or (rows.required_of == "complete" and status in rows.hidden):
        return []
    judged = _find_judged_rows(rows, status)
    asked = find_asked(rows.study, rows.instrument)
    cells = {
        field: _RequiredCells.read(asked[field.field_name], judged, _find_filled(rows, columns))
        for field, columns in fields.items()
    }
    unseen = [
        _RequiredCells.read_hidden(asked[field.field_name])
        for field in rows.project.instrument_fields(rows.instrument)
        if field.is_required and field not in fields and field.field_name in asked
    ]
    of_form, form_is_unknown = _find_blank_forms([*cells.values(), *unseen])
    problems = find_logic_problems(rows.study)
    read = _ReadValues(rows)
    found = [
        rows.make_findings(
            REQUIRED_FILLED,
            field.field_name,
            pa.array(cells[field].wrong & ~of_form),
            pa.array(~cells[field].unknown & ~(cells[field].wrong & of_form)),
            read.select(field, columns, status),
            "The field is required, was asked and is blank.",
            problems.get(field.field_name, ""),
        )
        for field, columns in fields.items()
    ]
    if len(fields) < _FEWEST:
        return found
    columns_of_form = [column for columns in fields.values() for column in columns]
    form = rows.make_findings(
        REQUIRED_FILLED,
        "",
        pa.array(of_form),
        pa.array(~form_is_unknown),
        read.select(None, columns_of_form, status),
        "More than half of the required fields that were asked are blank.",
    )
    return [*found, form]


def judge_hidden(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each field that has a value although branching logic hides it: rule F.

    Calculated values and missing data codes are not found: people did not enter them there.

    Args:
        rows: The rows of an instrument.
    """
    shown = find_shown(rows.study, rows.instrument)
    codes = rows.study.missing_codes
    problems = find_logic_problems(rows.study)
    read = _ReadValues(rows)
    found = []
    for field, all_columns in rows.group_columns():
        if not field.branching_logic.strip() or field.is_calculated:
            continue
        columns = [each for each in all_columns if not (each.choice and each.choice.code in codes)]
        filled = _find_filled(rows, columns, codes)
        is_shown = shown[field.field_name]
        unknown = filled & _read(pc.is_null(is_shown), unknown=False)
        found.append(
            rows.make_findings(
                HIDDEN_FILLED,
                field.field_name,
                pa.array(filled & ~_read(is_shown, unknown=True)),
                pa.array(~unknown),
                read.select(field, columns),
                "The field has a value although its branching logic hides it.",
                problems.get(field.field_name, ""),
            )
        )
    return found


def _find_judged_rows(rows: InstrumentRows, status: str) -> Booleans:
    """Return the rows whose required fields are judged."""
    if rows.required_of == "complete":
        return _read(combine(pc.equal(rows.records[status], _COMPLETE)), unknown=False)
    if rows.required_of == "all":
        return np.ones(rows.records.num_rows, np.bool_)
    return _read(rows.find_saved(), unknown=False)


def _find_filled(
    rows: InstrumentRows, columns: Sequence[Column], codes: Collection[str] = ()
) -> Booleans:
    """Return whether each row has an entry in one of the columns, other than some codes."""
    found = []
    for column in columns:
        text = rows.records[column.name]
        filled = text.is_valid() if column.choice is None else pc.equal(text, "1")
        if codes and column.choice is None:
            is_code = pc.is_in(text, pa.array(sorted(codes), pa.string()))
            filled = pc.and_(filled, pc.invert(is_code))
        found.append(_read(combine(filled), unknown=False))
    return reduce(np.logical_or, found, np.zeros(rows.records.num_rows, np.bool_))


def _find_blank_forms(cells: Sequence["_RequiredCells"]) -> tuple[Booleans, Booleans]:
    """Return the rows of which most required fields are blank, and those that may be such."""
    wrong = np.sum([each.wrong for each in cells], axis=0)
    asked = np.sum([each.asked for each in cells], axis=0)
    may_be_wrong = wrong + np.sum([each.unknown for each in cells], axis=0)
    may_be_asked = np.sum([each.may_be_asked for each in cells], axis=0)
    is_blank = (wrong >= _FEWEST) & (2 * wrong > asked + may_be_asked)
    may_be_blank = (may_be_wrong >= _FEWEST) & (2 * may_be_wrong > asked + may_be_wrong - wrong)
    return is_blank, may_be_blank & ~is_blank


def _read(values: pa.BooleanArray, *, unknown: bool) -> Booleans:
    filled: Booleans = pc.fill_null(values, unknown).to_numpy(zero_copy_only=False)
    return filled


@dataclass(frozen=True)
class _RequiredCells:
    """The cells of a required field, row by row.

    Attributes:
        asked: Whether it was certainly asked and is not unknown.
        wrong: Whether it was asked and is blank.
        unknown: Whether it is blank, and the row is not judged or it cannot be said whether it was
            asked.
        may_be_asked: Whether it is filled, and it cannot be said whether it was asked.
    """

    asked: Booleans
    wrong: Booleans
    unknown: Booleans
    may_be_asked: Booleans

    @classmethod
    def read(cls, asked: pa.BooleanArray, judged: Booleans, filled: Booleans) -> Self:
        """Return the cells of a field from where it was asked, judged and filled."""
        is_asked, may_be_asked = _read(asked, unknown=False), _read(asked, unknown=True)
        wrong = judged & is_asked & ~filled
        is_unsure = may_be_asked & ~is_asked
        return cls(
            is_asked & (judged | filled), wrong, may_be_asked & ~filled & ~wrong, is_unsure & filled
        )

    @classmethod
    def read_hidden(cls, asked: pa.BooleanArray) -> Self:
        """Return the cells of a field that export rights hide, from where it was asked."""
        may_be_asked, nowhere = _read(asked, unknown=True), np.zeros(len(asked), np.bool_)
        return cls(nowhere, nowhere, may_be_asked, may_be_asked)


class _ReadValues:
    """The values that decide about fields: their own, and those that their logic refers to."""

    def __init__(self, rows: InstrumentRows) -> None:
        self._rows = rows
        self._resolved: dict[Reference, pa.Array | pa.ChunkedArray] = {}

    def select(self, field: Field | None, columns: Sequence[Column], *others: str) -> pa.Table:
        """Return the columns of a field, other columns, and what its logic refers to."""
        names = [*(column.name for column in columns), *others]
        read = {name: self._rows.records[name] for name in names if name not in self._rows.hidden}
        for reference in list_deciding_references(field) if field else ():
            read[str(reference)] = self._resolve(reference)
        return pa.table(read)

    def _resolve(self, reference: Reference) -> pa.Array | pa.ChunkedArray:
        if reference not in self._resolved:
            self._resolved[reference] = self._find_own(reference)
        return self._resolved[reference]

    def _find_own(self, reference: Reference) -> pa.Array | pa.ChunkedArray:
        rows = self._rows
        column = find_column(rows.study, reference)
        is_own = not (reference.event or reference.instance)
        if is_own and column and column.field.form_name == rows.instrument:
            return rows.records[column.name]  # the same for the digest, and not copied
        return resolve(rows.study, reference, rows.instrument)
