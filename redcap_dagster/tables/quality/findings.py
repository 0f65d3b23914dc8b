"""What a rule of data quality found, row by row: what is wrong, and what it can judge."""

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Column, Field, REDCapProject
from redcap_dagster.project.system_columns import REPEAT_INSTANCE
from redcap_dagster.tables.cleaning.cells import get_text_column, read_values
from redcap_dagster.tables.cleaning.clean_table import CleanTable
from redcap_dagster.tables.cleaning.rules import CleaningRules
from redcap_dagster.tables.instruments import find_saved
from redcap_dagster.tables.logic import RowKeys, StudyRows
from redcap_dagster.tables.quality.descriptions import RuleDescription

RequiredOf = Literal["complete", "saved", "all"]
"""Which rows of an instrument need their required fields."""


@dataclass(frozen=True)
class InstrumentRows:
    """The rows of one instrument that rules judge.

    Attributes:
        instrument: Name of the instrument.
        records: Its records table, as text.
        cleaned: The clean table that is made from it, with the same rows.
        project: Structure of the project.
        rules: Rules of the clean table.
        study: The rows of all instruments, in which references of logic are looked up.
        hidden: Columns that export rights hide, whose values are unknown. Defaults to none.
        required_of: The rows whose required fields are judged: those that are marked Complete
            (``complete``), those that were saved (``saved``) or ``all``. Defaults to ``complete``.
        is_whole: Whether they are all rows of the instrument, not those of some buckets. Defaults
            to True.
        sees_all_records: Whether they are certainly those of all access groups, not only of that
            of the token's user. Defaults to True.
    """

    instrument: str
    records: pa.Table = dataclasses.field(repr=False)
    cleaned: CleanTable = dataclasses.field(repr=False)
    project: REDCapProject = dataclasses.field(repr=False)
    rules: CleaningRules
    study: StudyRows = dataclasses.field(repr=False)
    hidden: Collection[str] = ()
    required_of: RequiredOf = "complete"
    is_whole: bool = True
    sees_all_records: bool = True

    def find_values(self, column: Column) -> pa.ChunkedArray:
        """Return the text of a column, with missing markers and missing data codes null."""
        text = get_text_column(self.records, column.name)
        return read_values(text, column, self.project, self.rules)

    def read_text(self, name: str) -> pa.StringArray:
        """Return a column of the records as one array, with blanks as empty text."""
        return pc.fill_null(self.records[name], "").combine_chunks()

    def group_columns(self) -> list[tuple[Field, list[Column]]]:
        """Return the fields of the instrument with their columns, without hidden ones."""
        columns = [
            column
            for column in self.project.columns(self.instrument)
            if column.name not in self.hidden
        ]
        return [(each, list(own)) for each, own in groupby(columns, key=lambda one: one.field)]

    def find_saved(self) -> pa.BooleanArray:
        """Return whether each row is of a form that was saved, or an instance."""
        columns = self.project.columns(self.instrument)
        blank_status = self.project.honors_blank_status
        saved = combine(find_saved(self.records, columns, blank_status=blank_status))
        if REPEAT_INSTANCE not in self.records.column_names:
            return saved
        return pc.or_(saved, combine(self.records[REPEAT_INSTANCE].is_valid()))

    def repeat(self, value: bool) -> pa.BooleanArray:
        """Return the same value for each row."""
        return pa.repeat(pa.scalar(value), self.records.num_rows)

    def make_findings(
        self,
        rule: RuleDescription,
        field: str,
        wrong: pa.BooleanArray,
        certain: pa.BooleanArray,
        read: pa.Table,
        text: str,
        unevaluated: str = "",
    ) -> "RuleFindings":
        """Return what a rule found in a field of these rows; see `RuleFindings`."""
        return RuleFindings(
            rule.rule, rule.letter, self.instrument, field, wrong, certain, read, text, unevaluated
        )


@dataclass(frozen=True)
class RuleFindings:
    """The rows of an instrument that one rule finds wrong in one field.

    Attributes:
        rule: Name of the rule: that of its check.
        letter: REDCap's letter of the rule; blank if it has none.
        instrument: Name of the instrument.
        field: Name of the field; blank for the row as a whole.
        wrong: Whether each row of the records table is certainly wrong; never null.
        certain: Whether each row was judged; False where it cannot be said.
        read: The values that the rule read, as text, one row for each row.
        text: A sentence that says what is wrong, without values of the record.
        unevaluated: What the dictionary asks for and was not evaluated, such as ``max today``.
            Defaults to blank.
    """

    rule: str
    letter: str
    instrument: str
    field: str
    wrong: pa.BooleanArray = dataclasses.field(repr=False)
    certain: pa.BooleanArray = dataclasses.field(repr=False)
    read: pa.Table = dataclasses.field(repr=False)
    text: str
    unevaluated: str = ""

    def keep(self, rows: pa.BooleanArray) -> Self:
        """Return the findings with those wrong rows that are among some rows.

        Args:
            rows: Whether each row is one of them.
        """
        return dataclasses.replace(self, wrong=pc.and_(self.wrong, rows))

    def keep_first(self, keys: RowKeys) -> Self:
        """Return the findings with one wrong row of those that have the same key.

        Duplicate rows are one place in REDCap, and so one query.

        Args:
            keys: The keys of the rows.
        """
        rows = np.flatnonzero(self.wrong.to_numpy(zero_copy_only=False))
        found = np.stack([keys.record[rows], keys.event[rows], keys.instance[rows]])
        _, first = np.unique(found, axis=1, return_index=True)
        if len(first) == len(rows):
            return self
        kept = np.zeros(len(self.wrong), np.bool_)
        kept[rows[first]] = True
        return self.keep(pa.array(kept))

    @property
    def count(self) -> int:
        """Number of rows that are wrong."""
        return int(self.wrong.true_count)


def count_wrong(findings: Sequence[RuleFindings]) -> dict[str, int]:
    """Return the number of wrong rows by field; fields without any are left out.

    Args:
        findings: Findings of one rule in an instrument.
    """
    return {each.field: each.count for each in findings if each.count}


def combine(rows: pa.ChunkedArray | pa.Array) -> pa.BooleanArray:
    """Return one boolean for each row in one array; null becomes False."""
    filled = pc.fill_null(rows, False)
    return filled.combine_chunks() if isinstance(filled, pa.ChunkedArray) else filled
