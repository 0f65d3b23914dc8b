"""The columns of a record import: how values are written, and when they are stored already."""

from dataclasses import dataclass
from typing import Final, Self

from redcap_dagster.api.calls.written_values import (
    UnwritableValueError,
    Value,
    has_value,
    write_value,
)
from redcap_dagster.api.methods.record_import.choices import ChoiceTexts
from redcap_dagster.api.methods.record_import.dates import is_date, put_year_first
from redcap_dagster.project import Choice, Column
from redcap_dagster.project.columns import is_status_field
from redcap_dagster.project.validations import NO_VALIDATION, Validation, get_validation

_BOX: Final = ChoiceTexts.index([Choice("0", ""), Choice("1", "")])


@dataclass(frozen=True)
class ImportColumn:
    """One column of a record import.

    Attributes:
        field_name: The field; blank for a column that REDCap adds to rows. Defaults to blank.
        form: The instrument; blank for such a column. Defaults to blank.
        field_type: The type of the field. Defaults to ``text``.
        validation: The validation of its values. Defaults to none.
        texts: The texts that a choice field takes. Defaults to None: it is of another type.
        is_status: Whether it is the status of its instrument. Defaults to False.
        missing: The missing data codes, which are taken as they are. Defaults to none.
    """

    field_name: str = ""
    form: str = ""
    field_type: str = "text"
    validation: Validation = NO_VALIDATION
    texts: ChoiceTexts | None = None
    is_status: bool = False
    missing: frozenset[str] = frozenset()

    @classmethod
    def describe(cls, column: Column, missing: frozenset[str]) -> Self:
        """Return an export column of the project as a column of an import.

        Args:
            column: The column.
            missing: The project's missing data codes.
        """
        field = column.field
        texts: ChoiceTexts | None = None
        if column.choice is not None:
            texts = _BOX
        elif field.choices:
            texts = ChoiceTexts.index(field.choices, missing)
        return cls(
            field_name=field.field_name,
            form=field.form_name,
            field_type=field.field_type,
            validation=get_validation(field),
            texts=texts,
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
        if value in (None, "") and (self.is_status or self.texts is _BOX):
            return stored in ("", "0")  # REDCap exports a blank as 0
        if self.texts is not None:
            codes = self.texts.find_codes(value)
            return stored in codes if codes else has_value(stored, value)
        return has_value(stored, self._reorder(value, date_format), self.validation)

    def write(self, value: Value, stored: str, date_format: str) -> str:
        """Return the text of a value; see `has_value`.

        Raises:
            UnwritableValueError: The field cannot store the value as it is.
        """
        if self.texts is None:
            return write_value(self._reorder(value, date_format), self.validation, stored)
        codes = self.texts.find_codes(value) or (write_value(value),)
        if len(codes) > 1:
            raise UnwritableValueError
        return codes[0]

    def _reorder(self, value: Value, date_format: str) -> Value:
        if isinstance(value, str) and self.validation.kind in ("date", "datetime"):
            return put_year_first(value, date_format)
        return value
