"""The codes that the values of choice fields mean: they are given as codes, labels or both."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal, Self

from redcap_dagster.api.calls.written_values import (
    UnwritableValueError,
    Value,
    write_value,
)
from redcap_dagster.project import Choice, Field, REDCapProject
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.validations import VALIDATIONS, read_value

ValueRow = Mapping[str, Value]

Meaning = Literal["codes", "labels"]
"""What a text of a choice field is, where it may be either."""

MEANINGS: Final[tuple[Meaning, ...]] = ("codes", "labels")

EITHER_ADVICE: Final = (
    "may be codes or labels, as labels of the field are codes of other choices or missing data "
    'codes. Say what they are: choices="codes", or choices="labels".'
)

_NUMBER: Final = VALIDATIONS["number"]

_CHOICE_TYPES: Final = ("radio", "dropdown", "checkbox")


@dataclass(frozen=True, slots=True)
class ChoiceTexts:
    """The texts that a choice field takes.

    Attributes:
        codes: The codes that each text or number may be, with the missing data codes.
        labels: The codes of each label, as text or as number; several where choices share it.
        meaning: What a value is that may be a code or a label. Defaults to ``codes``.
    """

    codes: Mapping[str | Decimal, tuple[str, ...]]
    labels: Mapping[str | Decimal, tuple[str, ...]]
    meaning: Meaning = "codes"

    @classmethod
    def index(
        cls,
        choices: Sequence[Choice],
        missing: AbstractSet[str] = frozenset(),
        meaning: Meaning = "codes",
    ) -> Self:
        """Return the texts of some choices, and of missing data codes.

        Example:
            >>> texts = ChoiceTexts.index([Choice("1", "Female"), Choice("02", "Male")])
            >>> texts.find_codes("Male"), texts.find_codes(2)
            (('02',), ('02',))
        """
        texts = sorted({*missing, *(choice.code for choice in choices)})
        return cls(
            _index((text, text) for text in texts),
            _index((choice.label or choice.code, choice.code) for choice in choices),
            meaning,
        )

    def read(self, value: Value, meaning: Meaning) -> tuple[str, ...]:
        """Return the codes of a value that is a code, or a label; none if it is not.

        A number is the code, or the label, of the same value: 1 is ``01``.
        """
        try:
            text = write_value(value)
        except UnwritableValueError:
            return ()
        number = None if isinstance(value, str) else read_value(text, _NUMBER)
        found = self.codes if meaning == "codes" else self.labels
        return found.get(number if isinstance(number, Decimal) else text, ())

    def find_codes(self, value: Value) -> tuple[str, ...]:
        """Return the codes that a value means; none if it is neither a code nor a label."""
        other = MEANINGS[self.meaning == "codes"]
        return self.read(value, self.meaning) or self.read(value, other)

    def may_be_either(self, value: Value) -> bool:
        """Return whether a value means other choices as a code than as a label."""
        code, label = self.read(value, "codes"), self.read(value, "labels")
        return bool(code and label and code != label)

    def find_meanings(self, values: Iterable[Value]) -> set[Meaning]:
        """Return what values are that can only be codes, or only labels.

        Example:
            >>> visits = ChoiceTexts.index([Choice("1", "0"), Choice("2", "1")])
            >>> visits.find_meanings(["1"]), visits.find_meanings(["1", "2"])
            (set(), {'codes'})
        """
        possible = [[one for one in MEANINGS if self.read(value, one)] for value in values]
        return {meanings[0] for meanings in possible if len(meanings) == 1}


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str | Decimal, tuple[str, ...]]:
    """Return the codes of each text, and of each number that is the value of texts."""
    found: dict[str | Decimal, tuple[str, ...]] = {}
    for text, code in pairs:
        found[text] = (*found.get(text, ()), code)
        number = read_value(text, _NUMBER)
        if isinstance(number, Decimal):
            found[number] = (*found.get(number, ()), code)
    return found


def find_only(meanings: Collection[Meaning]) -> Meaning | None:
    """Return the one meaning that there is; None without one, or with both."""
    return next(iter(meanings)) if len(meanings) == 1 else None


# -- columns of clean tables that a project does not have ----------------------------------------


def merge_code_columns(
    rows: Sequence[ValueRow], project: REDCapProject, known: Collection[str]
) -> tuple[Sequence[ValueRow], frozenset[str]]:
    """Return rows whose choices are the codes of the columns ``FIELD_code``.

    A clean table with ``labels="both"`` has such columns beside those with labels.

    Args:
        rows: The rows.
        project: The project.
        known: The columns of the project.

    Returns:
        The rows without these columns, and the fields that have codes now.

    Raises:
        ValueError: A code and the label beside it are of different choices.
    """
    names = {name for row in rows for name in row}.difference(known)
    fields = {
        f"{field.field_name}_code": field
        for instrument in project.instruments
        for field in project.instrument_fields(instrument.instrument_name)
        if field.field_type in _CHOICE_TYPES and f"{field.field_name}_code" in names
    }
    texts = {name: ChoiceTexts.index(field.choices) for name, field in fields.items()}
    wrong: Counter[str] = Counter()

    def merge(row: ValueRow) -> ValueRow:
        merged = dict(row)
        for name in fields.keys() & row.keys():
            field_name, code = fields[name].field_name, merged.pop(name)
            if field_name in row:
                wrong[field_name] += not _are_same(texts[name], code, row[field_name])
            merged[field_name] = code
        return merged

    merged = [merge(row) for row in rows]
    if +wrong:
        raise ValueError(
            f"data: {wrong.total()} values of {list_names(sorted(+wrong))} have a label and, in "
            "the column of this name with _code, the code of another choice. Change both, or leave "
            "one of the columns out."
        )
    return merged, frozenset(field.field_name for field in fields.values())


def _are_same(texts: ChoiceTexts, code: Value, label: Value) -> bool:
    """Return whether a code, or a list of codes, is of the same choices as the label beside it."""
    if isinstance(code, tuple) and isinstance(label, tuple):
        pairs = zip(code, label, strict=False)
        return len(code) == len(label) and all(_are_same(texts, *pair) for pair in pairs)
    if {code, label} <= {None, ""}:
        return True
    if isinstance(code, tuple) or isinstance(label, tuple):
        return False
    return not {*texts.read(code, "codes")}.isdisjoint(texts.read(label, "labels"))


def spread_options(
    rows: Sequence[ValueRow],
    project: REDCapProject,
    known: Collection[str],
    coded: Collection[str],
    meaning: Meaning | None,
) -> Sequence[ValueRow]:
    """Return rows with a column for each option of checkboxes whose options are lists.

    Args:
        rows: The rows.
        project: The project.
        known: The columns of the project.
        coded: The fields whose lists have codes.
        meaning: What items are that may be codes or labels; None if the items of a field tell.

    Raises:
        ValueError: A list has an item that is not an option, or that several options may be, or the
            items of a checkbox may be codes or labels.
    """
    names = {name for row in rows for name in row}.difference(known)
    boxes = {
        field.field_name: field
        for field in project.fields
        if field.field_name in names and field.field_type == "checkbox"
    }
    items: dict[str, set[str]] = {name: set() for name in boxes}
    for row in rows:
        for name in boxes.keys() & row.keys():
            value = row[name]
            items[name].update(value if isinstance(value, tuple) else ())
    texts = {
        name: _read_items(box, items[name], "codes" if name in coded else meaning)
        for name, box in boxes.items()
    }
    wrong: Counter[str] = Counter()

    def spread(name: str, value: Value) -> Iterator[tuple[str, Value]]:
        if name not in boxes or not isinstance(value, tuple | None):
            yield name, value
            return
        found = [texts[name].find_codes(item) for item in value or ()]
        wrong[name] += sum(len(codes) != 1 for codes in found)
        ticked = {codes[0] for codes in found if codes}
        for choice in boxes[name].choices:
            column = project.export_column(name, choice.code)
            yield column, None if value is None else choice.code in ticked

    spread_rows: list[ValueRow] = [
        dict(cell for name, value in row.items() for cell in spread(name, value)) for row in rows
    ]
    if +wrong:
        raise ValueError(
            f"data: {wrong.total()} items in the lists of {list_names(sorted(+wrong))} are not "
            "options of these checkboxes, or the labels of several. Give the codes."
        )
    return spread_rows


def _read_items(box: Field, items: Collection[str], meaning: Meaning | None) -> ChoiceTexts:
    """Return the texts of a checkbox, as its items or the argument tell what they mean.

    Raises:
        ValueError: The items may be codes or labels.
    """
    texts = ChoiceTexts.index(box.choices)
    meaning = meaning or find_only(texts.find_meanings(items))
    if meaning is None and any(map(texts.may_be_either, items)):
        raise ValueError(f"data: values of {box.field_name} {EITHER_ADVICE}")
    return replace(texts, meaning=meaning or "codes")
