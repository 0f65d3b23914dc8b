"""Import data as rows of text, or as the data of a request.

A blank cell is an empty text. Whole numbers are written without a decimal point: pandas stores a 2
in a column with blanks as 2.0.
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
_NO_VALIDATIONS: Mapping[str, str] = {}


def write_import_data(data: Importable, must_have: Sequence[str]) -> tuple[str, str]:
    r"""Return import data as REDCap reads them: the format and the text.

    A list is written as JSON, as its values may be objects (a user's rights by instrument); other
    data are written as CSV.

    Args:
        data: The import data.
        must_have: The columns that every row needs.

    Raises:
        TypeError: The data, or a value in them, are of another type.
        ValueError: The data have no row, or lack a column.

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
        problem = "data: a value cannot be written as JSON. Give texts and numbers."
    raise TypeError(problem)


def read_rows(
    data: Importable, validations: Mapping[str, str] = _NO_VALIDATIONS, delimiter: str = ","
) -> list[dict[str, str]]:
    """Return import data as rows of text.

    Args:
        data: The import data.
        validations: The dictionary's validation of each column, which says how a datetime is
            written. Defaults to no validations.
        delimiter: The delimiter of a CSV. Defaults to a comma.

    Raises:
        TypeError: The data, or a value in them, are of another type.
        ValueError: A text is not CSV, or has a column twice.

    Example:
        >>> read_rows(pd.DataFrame({"record_id": ["1", "2"], "age": [40, None]}))
        [{'record_id': '1', 'age': '40'}, {'record_id': '2', 'age': ''}]
    """
    if isinstance(data, str):
        return _read_csv(data, delimiter)
    if isinstance(data, pd.DataFrame):
        if not data.columns.is_unique:
            raise ValueError(
                "data: a column name is used twice. Rename or drop one of the columns."
            )
        names = [str(name) for name in data.columns]
        columns = (
            [
                _write_value(name, value, validations.get(name, ""))
                for value in data[column].tolist()
            ]
            for name, column in zip(names, data.columns, strict=True)
        )
        return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    _check_list(data)
    return [
        {
            str(name): _write_value(str(name), value, validations.get(str(name), ""))
            for name, value in row.items()
        }
        for row in data
    ]


def check_columns(rows: Sequence[Mapping[str, Any]], must_have: Sequence[str]) -> None:
    """Raise unless there is a row, and every row has some columns.

    Raises:
        ValueError: There is no row, or rows lack a column.
    """
    if not rows:
        raise ValueError("data: has no row to import.")
    for name in must_have:
        lacking = sum(name not in row for row in rows)
        if lacking:
            raise ValueError(f"data: {lacking} of {len(rows)} rows have no {name}.")


def _check_list(data: Any) -> None:
    if isinstance(data, Mapping) or not isinstance(data, Sequence):
        raise TypeError("data: must be a DataFrame, a list of dicts, or the text of a CSV.")
    if not all(isinstance(row, Mapping) for row in data):
        raise TypeError("data: not every item of the list is a dict. Give one dict per row.")


def _read_csv(text: str, delimiter: str) -> list[dict[str, str]]:
    problem = ""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [row for row in lines if row]
    except csv.Error:
        problem = (
            "data: the text is not CSV, as its quotes are not in pairs. Double quotes within cells."
        )
    if problem:
        raise ValueError(problem)
    if not rows:
        raise ValueError("data: has no row to import.")
    header = [name.strip().removeprefix("\ufeff") for name in rows[0]]
    if len(set(header)) < len(header):
        raise ValueError("data: a column name is used twice. Rename or drop one of the columns.")
    wrong = sum(len(row) != len(header) for row in rows[1:])
    if wrong:
        raise ValueError(
            f"data: {wrong} rows have more or fewer cells than the header. Quote cells "
            "that hold the delimiter."
        )
    return [dict(zip(header, row, strict=True)) for row in rows[1:]]


def _write_value(name: str, value: Any, validation: str) -> str:
    """Return one value as text."""
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
            return _write_datetime(value, validation)
        case date() if not isinstance(value, datetime):
            return value.isoformat()
        case time() if value.tzinfo is None:
            return f"{value:%H:%M:%S}" if validation == "time_hh_mm_ss" else f"{value:%H:%M}"
    raise TypeError(f"data: a value of {name} is of type {type(value).__name__}. Give it as text.")


def _write_datetime(value: datetime, validation: str) -> str:
    """Return a date and time in the format of its field; pandas makes one of a date."""
    if validation.startswith("date_") and value.time() == time():
        return f"{value:%Y-%m-%d}"
    seconds = validation.startswith("datetime_seconds") or value.second
    return f"{value:%Y-%m-%d %H:%M:%S}" if seconds else f"{value:%Y-%m-%d %H:%M}"
