"""Validation of import data: the values that a field takes, and REDCap's messages."""

import re
from datetime import date
from typing import Final

from redcap_dagster.project import Column, Field, REDCapProject
from redcap_dagster.project.validations import CLOCKS, VALIDATIONS

NOT_THE_FORMAT: Final = (
    "The value you provided could not be validated because it does not follow the expected "
    "format. Please try again."
)

_ORDERS: Final = {
    "YMD": r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})",
    "MDY": r"(?P<m>\d{1,2})[-/](?P<d>\d{1,2})[-/](?P<y>\d{4})",
    "DMY": r"(?P<d>\d{1,2})[-/](?P<m>\d{1,2})[-/](?P<y>\d{4})",
}
DATE_FORMATS: Final = tuple(_ORDERS)


def validate_import_value(
    structure: REDCapProject, column: Column, value: str, date_format: str
) -> str:
    """Return the value to store; dates become Y-M-D.

    Args:
        structure: Structure of the project, whose missing data codes all fields take.
        column: Column of the value.
        value: Value of the import data, which is not blank.
        date_format: Order of dates: ``YMD``, ``MDY`` or ``DMY``.

    Raises:
        ValueError: The field does not take the value. The text is REDCap's, without the value.
    """
    field = column.field
    if column.choice is not None:
        if value not in ("0", "1"):
            raise ValueError(f"The value is not a valid category for {column.name}")  # guess
        return value
    missing = {choice.code for choice in structure.missing_data_codes}
    if value in missing and "@NOMISSING" not in field.field_annotation:
        return value
    if field.choices:
        if value not in {choice.code for choice in field.choices}:
            raise ValueError(f"The value is not a valid category for {column.name}")  # guess
        return value
    if field.field_type == "file":
        raise ValueError("The value of a file field cannot be imported as data.")  # guess
    if field.field_type != "text":
        return value
    return _validate_text(field, value, date_format)


def _validate_text(field: Field, value: str, date_format: str) -> str:
    validation = VALIDATIONS.get(field.validation)
    if validation is None:  # servers have validations of their own
        return value
    if validation.kind in ("date", "datetime"):
        return _convert_date(validation.clock, value, date_format)
    if not re.fullmatch(validation.pattern, value, re.ASCII):
        raise ValueError(NOT_THE_FORMAT)
    return value


def _convert_date(clock: str, value: str, date_format: str) -> str:
    time_of_day = f" {CLOCKS[clock]}" if clock else ""
    pattern = f"{_ORDERS[date_format]}(?P<clock>{time_of_day})"
    found = re.fullmatch(pattern, value, re.ASCII)
    if found is None:
        raise ValueError(NOT_THE_FORMAT)
    try:
        day = date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        raise ValueError(NOT_THE_FORMAT) from None
    return day.isoformat() + found["clock"]
