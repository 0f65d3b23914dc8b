"""The columns of a record import: how values are written, and when they are stored already."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Self

from redcap_dagster.api.calls.written_values import (
    UnwritableValueError,
    Value,
    has_value,
    write_value,
)
from redcap_dagster.api.methods.record_import.dates import is_date, put_year_first
from redcap_dagster.project import Choice, Column
from redcap_dagster.project.columns import is_status_field
from redcap_dagster.project.validations import NO_VALIDATION, Validation, get_validation

Codes = Mapping[str, tuple[str, ...]]
"""The codes of each text that a choice field takes; several where choices share their label."""

_BOX: Final[Codes] = {"0": ("0",), "1": ("1",)}


@dataclass(frozen=True)
class ImportColumn:
    """One column of a record import.

    Attributes:
        field_name: The field; blank for a column that REDCap adds to rows. Defaults to blank.
        form: The instrument; blank for such a column. Defaults to blank.
        field_type: The type of the field. Defaults to ``text``.
        validation: The validation of its values. Defaults to none.
        codes: The codes of each text that a choice field takes. Defaults to no choices.
        is_status: Whether it is the status of its instrument. Defaults to False.
        missing: The missing data codes, which are taken as they are. Defaults to none.
    """

    field_name: str = ""
    form: str = ""
    field_type: str = "text"
    validation: Validation = NO_VALIDATION
    codes: Codes | None = None
    is_status: bool = False
    missing: frozenset[str] = frozenset()

    @classmethod
    def describe(
        cls, column: Column, missing: frozenset[str], categories: Sequence[Any] | None
    ) -> Self:
        """Return an export column of the project as a column of an import.

        Args:
            column: The column.
            missing: The project's missing data codes.
            categories: The categories of the column in the data; None if it has none.

        Raises:
            ValueError: The categories may be codes or labels.
        """
        field = column.field
        codes: Codes | None = None
        if column.choice is not None:
            codes = _BOX
        elif field.choices:
            codes = index_codes(field.field_name, field.choices, categories, missing)
        return cls(
            field_name=field.field_name,
            form=field.form_name,
            field_type=field.field_type,
            validation=get_validation(field),
            codes=codes,
            is_status=is_status_field(field),
            missing=missing,
        )

    @property
    def is_ignored(self) -> bool:
        """Whether REDCap ignores values of the column: those that it calculates itself."""
        return self.field_type == "calc"

    @property
    def is_file(self) -> bool:
        """Whether the values are names of files, which are imported one by one."""
        return self.field_type == "file"

    def takes_date(self, value: Value, date_format: str) -> bool:
        """Return whether a text of a field of dates begins with a date of the calendar."""
        return (
            self.validation.kind not in ("date", "datetime")
            or not isinstance(value, str)
            or value.strip() in self.missing | {""}
            or is_date(value.strip(), date_format)
        )

    def has_value(self, stored: str, value: Value, date_format: str) -> bool:
        """Return whether a stored text has a value already.

        Args:
            stored: The text.
            value: The value.
            date_format: The order in dates that are texts.
        """
        if value in (None, "") and (self.is_status or self.codes is _BOX):
            return stored in ("", "0")  # REDCap exports a blank as 0
        if self.codes is not None:
            text = write_value(value)
            return stored in self.codes.get(text, (text,))
        return has_value(stored, self._reorder(value, date_format), self.validation)

    def write(self, value: Value, stored: str, date_format: str) -> str:
        """Return the text of a value; see `has_value`.

        Raises:
            UnwritableValueError: The field cannot store the value as it is.
        """
        if self.codes is None:
            return write_value(self._reorder(value, date_format), self.validation, stored)
        text = write_value(value)
        codes = self.codes.get(text, (text,))
        if len(codes) > 1:
            raise UnwritableValueError
        return codes[0]

    def _reorder(self, value: Value, date_format: str) -> Value:
        if isinstance(value, str) and self.validation.kind in ("date", "datetime"):
            return put_year_first(value, date_format)
        return value


def index_codes(
    name: str,
    choices: Sequence[Choice],
    given: Collection[Any] | None = None,
    missing: AbstractSet[str] = frozenset(),
) -> Codes:
    """Return the codes that each text may mean: codes, and labels where these are not codes too.

    Where a label is the code of another choice, texts are codes, unless the texts of the column
    show that they are labels: its categories are the labels in their order, as those of a clean
    table are, or one of its texts can only be a label.

    Args:
        name: The field, for the error.
        choices: The choices of the field.
        given: The texts of the column: its categories in their order, or the set of the items in
            its lists. Defaults to None: the column does not show them.
        missing: The missing data codes, which are codes too. Defaults to none.

    Raises:
        ValueError: The texts of the column may be codes or labels.

    Example:
        >>> index_codes("sex", [Choice("1", "Female"), Choice("2", "Male")])["Male"]
        ('2',)
        >>> visits = [Choice("1", "0"), Choice("2", "1")]
        >>> [index_codes("visits", visits, given)["1"] for given in (None, ["0", "1"])]
        [('1',), ('2',)]
    """
    own: Codes = {choice.code: (choice.code,) for choice in choices}
    codes: Codes = {**{code: (code,) for code in missing}, **own}
    labels: dict[str, tuple[str, ...]] = {}
    for choice in choices:
        label = choice.label or choice.code
        labels[label] = (*labels.get(label, ()), choice.code)
    if given is None:
        is_clear = all(labels.get(code, means) == means for code, means in own.items())
        return {**labels, **codes} if is_clear else codes
    texts = [str(text) for text in given]
    if isinstance(given, Sequence) and texts == list(labels):
        return labels
    both = labels.keys() & codes.keys()
    if all(labels[text] == codes[text] for text in both.intersection(texts)):
        return {**labels, **codes}
    has_label = any(text in labels and text not in codes for text in texts)
    has_code = any(text in codes and text not in labels for text in texts)
    if has_label == has_code:
        raise ValueError(
            f"data: the texts of {name} may be codes or labels, as labels of this field are codes "
            'of other choices or missing data codes. Give its codes (labels="codes") as texts '
            "without categories; of a checkbox, a column for each option instead of lists."
        )
    return labels if has_label else codes
