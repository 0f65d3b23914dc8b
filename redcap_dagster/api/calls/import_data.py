"""What users give for an import -> rows of text, or the data of a request.

A blank cell is an empty text. Whole numbers are written without a point: pandas makes 2.0 of a 2
in a column that has blanks.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import pandas as pd

Importable = pd.DataFrame | Sequence[Mapping[str, Any]] | str
"""A DataFrame, a list of dicts, or the text of a CSV with a header."""

_LONGEST_CELL = 2**31 - 1
_NONE: Mapping[str, str] = {}


def write_import_data(data: Importable, must_have: Sequence[str]) -> tuple[str, str]:
    r"""Write what is to be imported as REDCap reads it: the format, and the text.

    A list stays JSON, as its values may be objects (the form rights of a user); the others are CSV.

    Raises:
        TypeError: It is of another type.
        ValueError: It has no row, or lacks a column.

    Example:
        >>> write_import_data([{"arm_num": 1, "name": "Arm 1"}], ["arm_num"])
        ('json', '[{"arm_num": 1, "name": "Arm 1"}]')
        >>> write_import_data("arm_num,name\n1,Arm 1\n", ["arm_num"])
        ('csv', 'arm_num,name\n1,Arm 1\n')
    """
    if isinstance(data, str | pd.DataFrame):
        rows = read_rows(data)
        check_columns(rows, must_have)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return "csv", text.getvalue()
    _check_list(data)
    check_columns(data, must_have)
    problem = ""
    try:
        return "json", json.dumps([dict(row) for row in data], allow_nan=False)
    except (TypeError, ValueError):
        problem = "data: a value is none that JSON has; give texts and numbers."
    raise TypeError(problem)


def read_rows(
    data: Importable, validations: Mapping[str, str] = _NONE, delimiter: str = ","
) -> list[dict[str, str]]:
    """Read what is to be imported as rows of text.

    Args:
        data: What the user gives.
        validations: By column, the dictionary's validation, which says how a datetime is written.
        delimiter: Between two cells of a CSV.

    Raises:
        TypeError: It is of another type, or a value is.
        ValueError: It is no CSV, or a column comes twice.

    Example:
        >>> read_rows(pd.DataFrame({"record_id": ["1", "2"], "age": [40, None]}))
        [{'record_id': '1', 'age': '40'}, {'record_id': '2', 'age': ''}]
    """
    if isinstance(data, str):
        return _csv_rows(data, delimiter)
    if isinstance(data, pd.DataFrame):
        if not data.columns.is_unique:
            raise ValueError("data: a column comes twice.")
        names = [str(name) for name in data.columns]
        columns = (
            [_text(name, value, validations.get(name, "")) for value in data[column].tolist()]
            for name, column in zip(names, data.columns, strict=True)
        )
        return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    _check_list(data)
    return [
        {
            str(name): _text(str(name), value, validations.get(str(name), ""))
            for name, value in row.items()
        }
        for row in data
    ]


def check_columns(rows: Sequence[Mapping[str, Any]], must_have: Sequence[str]) -> None:
    """Make sure that there is a row, and that each has some columns.

    Raises:
        ValueError: It is not so.
    """
    if not rows:
        raise ValueError("data: there is no row to import.")
    for name in must_have:
        lacking = sum(name not in row for row in rows)
        if lacking:
            raise ValueError(f"data: {lacking} of {len(rows)} rows have no {name}.")


def _check_list(data: Any) -> None:
    if isinstance(data, Mapping) or not isinstance(data, Sequence):
        raise TypeError("data: give a DataFrame, a list of dicts, or the text of a CSV.")
    if not all(isinstance(row, Mapping) for row in data):
        raise TypeError("data: not every member of the list is a dict.")


def _csv_rows(text: str, delimiter: str) -> list[dict[str, str]]:
    problem = ""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [row for row in lines if row]
    except csv.Error:
        problem = "data: this text is no CSV: its quotes do not come in pairs."
    if problem:
        raise ValueError(problem)
    if not rows:
        raise ValueError("data: there is no row to import.")
    header = [name.strip().removeprefix("\ufeff") for name in rows[0]]
    if len(set(header)) < len(header):
        raise ValueError("data: a column comes twice.")
    wrong = sum(len(row) != len(header) for row in rows[1:])
    if wrong:
        raise ValueError(f"data: {wrong} rows have more or fewer cells than the header.")
    return [dict(zip(header, row, strict=True)) for row in rows[1:]]


def _text(name: str, value: Any, validation: str) -> str:
    """Write one value."""
    match value:
        case str():
            return value
        case bool():
            return "1" if value else "0"
        case None:
            return ""
        case int():
            return str(int(value))
        case _ if pd.api.types.is_scalar(value) and pd.isna(value):
            return ""
        case float():
            return str(int(value)) if value.is_integer() else repr(float(value))
        case datetime() if value.tzinfo is None:
            return _moment(value, validation)
        case date() if not isinstance(value, datetime):
            return value.isoformat()
        case time() if value.tzinfo is None:
            return f"{value:%H:%M:%S}" if validation == "time_hh_mm_ss" else f"{value:%H:%M}"
    raise TypeError(f"data: a value of {name} is a {type(value).__name__}; give it as text.")


def _moment(value: datetime, validation: str) -> str:
    """Write a moment as its field takes it; pandas makes one of a date."""
    if validation.startswith("date_") and value.time() == time():
        return f"{value:%Y-%m-%d}"
    seconds = validation.startswith("datetime_seconds") or value.second
    return f"{value:%Y-%m-%d %H:%M:%S}" if seconds else f"{value:%Y-%m-%d %H:%M}"
