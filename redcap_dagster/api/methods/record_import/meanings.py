"""Whether values that may be codes or labels are codes or labels, as the data and REDCap tell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from redcap_dagster.api.calls.written_values import Value, read_scalar
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.record_import.choices import (
    EITHER_ADVICE,
    MEANINGS,
    ChoiceTexts,
    Meaning,
    ValueRow,
    find_only,
)
from redcap_dagster.api.methods.record_import.comparison import (
    REFUSALS,
    StoredRows,
    export_stored,
    get_stored_text,
)
from redcap_dagster.api.methods.record_import.target import ImportTarget, Shape
from redcap_dagster.project.name_lists import list_names


@dataclass(frozen=True)
class _Column:
    """A choice column of the data.

    Attributes:
        texts: The texts that the field takes.
        values: How often the column has each value.
        categories: The categories of the column in their order; None without any.
        kept: The count of values that may be either and leave what is stored, by what they mean.
    """

    texts: ChoiceTexts
    values: Counter[Value]
    categories: Sequence[Any] | None
    kept: Counter[Meaning]

    @property
    def either(self) -> frozenset[Value]:
        """The values that may be codes or labels."""
        return frozenset(filter(self.texts.may_be_either, self.values))

    def find_meanings(self) -> set[Meaning]:
        """Return what values are that can only be that, with those of the categories.

        Categories that are not all of this field may be of several columns, as some libraries have.
        """
        others = [read_scalar("", one) for one in self.categories or ()]
        are_own = all(map(self.texts.find_codes, others))
        return self.texts.find_meanings([*self.values, *(others if are_own else ())])


def decide_meanings(
    transport: Transport,
    target: ImportTarget,
    batches: Sequence[Sequence[ValueRow]],
    shape: Shape,
    told: Mapping[str, Meaning],
    categories: Mapping[str, Sequence[Any]],
    are_stored: bool,
) -> Mapping[str, Meaning]:
    """Return what the values of choice columns are, where they may be codes or labels.

    The column tells, if some of its values can only be codes, or only labels. Otherwise the other
    columns and the order of the categories tell. The stored values may not say the contrary, unless
    categories tell; without any of these, they tell alone, if the import changes none of them.

    Args:
        transport: The connection to the project.
        target: The project.
        batches: The rows.
        shape: The shape of the rows.
        told: What is known already, by column.
        categories: The categories of columns that have them, in their order.
        are_stored: Whether records of the rows may be stored; not if REDCap numbers them.

    Raises:
        ValueError: Values may be codes or labels.
        REDCapError: A request failed. The type says why.
    """
    columns = _read_columns(target, batches, shape, categories)
    found = {name: column.find_meanings() for name, column in columns.items()}
    # Of a clean table, choices with labels have categories: those without may have been left codes.
    others = {
        kind: find_only(
            set[Meaning]().union(
                *(found[name] for name, one in columns.items() if bool(one.categories) == kind)
            )
        )
        for kind in (False, True)
    }
    either = {name: column for name, column in columns.items() if column.either}
    meanings = {name: told.get(name) or find_only(found[name]) for name in either}
    unclear = {
        name: column
        for name, column in either.items()
        if name not in told and not (column.categories and meanings[name])
    }
    _count_kept(transport, target, unclear, batches if unclear and are_stored else (), shape)
    meanings |= {
        name: _decide(column, meanings[name], others[bool(column.categories)])
        for name, column in unclear.items()
    }
    if failed := sorted(name for name, meaning in meanings.items() if meaning is None):
        raise ValueError(f"data: values of {list_names(failed)} {EITHER_ADVICE}")
    return {name: meaning for name, meaning in meanings.items() if meaning}


def _read_columns(
    target: ImportTarget,
    batches: Sequence[Sequence[ValueRow]],
    shape: Shape,
    categories: Mapping[str, Sequence[Any]],
) -> dict[str, _Column]:
    """Return the choice columns of the data."""
    columns = {
        name: _Column(column.texts, Counter(), categories.get(name), Counter())
        for name, column in target.columns.items()
        if column.texts is not None and column.field_type != "checkbox"
    }
    for batch in batches:
        for _, name, value in target.iterate_cells(batch, shape):
            if name in columns and value not in (None, "") and not isinstance(value, bool):
                columns[name].values[value] += 1
    return {name: column for name, column in columns.items() if column.values}


def _count_kept(
    transport: Transport,
    target: ImportTarget,
    columns: Mapping[str, _Column],
    batches: Sequence[Sequence[ValueRow]],
    shape: Shape,
) -> None:
    """Compare values that may be either with the stored ones."""
    either = {name: column.either for name, column in columns.items()}
    only = replace(target, columns={name: target.columns[name] for name in columns})
    for batch in batches:
        stored: StoredRows = {}
        with suppress(*REFUSALS):
            stored = export_stored(transport, only, batch, shape, overwrite=False) or {}
        for row, name, value in only.iterate_cells(batch, shape):
            if value in either[name] and not isinstance(value, bool):
                text = get_stored_text(stored, row, only.get_id_column(shape), name)
                for meaning in MEANINGS:
                    kept = text in columns[name].texts.read(value, meaning)
                    columns[name].kept[meaning] += kept


def _decide(column: _Column, own: Meaning | None, others: Meaning | None) -> Meaning | None:
    """Return what the values of a column are; None if it cannot be told.

    Args:
        column: The column.
        own: What its own values are; None if they do not tell.
        others: What the values of other columns are; None if they do not tell.
    """
    codes, labels = column.kept["codes"], column.kept["labels"]
    if own is not None:
        return own if column.kept[own] == max(codes, labels) else None
    order = [label for label in column.texts.labels if isinstance(label, str)]
    if list(map(str, column.categories or ())) == order:
        is_label = others == "labels" or (others is None and labels > codes)
        return "labels" if is_label else None
    if others == "codes":
        return others if codes >= labels else None
    # A column of codes beside others of labels may have been given its type by the rules.
    if others == "labels" and any(isinstance(value, str) for value in column.either):
        return others if labels > codes else None
    count = sum(column.values[value] for value in column.either)
    unchanged = [meaning for meaning in MEANINGS if column.kept[meaning] == count]
    return find_only(unchanged) if len(column.either) > 1 else None
