"""Import data as rows of values or of text, or as the data of a request."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from redcap_dagster.api.calls.written_values import Value, read_scalar, write_value
from redcap_dagster.frames import Rows, to_frame, to_table

Importable = Rows | Sequence[Mapping[str, Any]] | str
"""A DataFrame, an Arrow table or one like it, a list of dicts, or a CSV with a header as text."""

_LONGEST_CELL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ImportRows:
    """The rows of import data.

    Attributes:
        rows: The values of each row, by column.
        categories: The categories of each column that has them, in their order. Defaults to none.
    """

    rows: list[dict[str, Value]] = field(repr=False)
    categories: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, repr=False)


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
    if isinstance(data, str | pd.DataFrame) or hasattr(data, "__arrow_c_stream__"):
        rows = read_rows(data).rows
        check_columns(rows, must_have)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: write_value(cell) for name, cell in row.items()} for row in rows)
        return "csv", text.getvalue()
    items = _check_list(data)
    check_columns(items, must_have)
    problem = ""
    try:
        return "json", json.dumps([dict(row) for row in items], allow_nan=False)
    except (TypeError, ValueError):
        problem = "data: a value cannot be written as JSON. Give texts and numbers."
    raise TypeError(problem)


def read_rows(data: Importable, delimiter: str = ",") -> ImportRows:
    """Return import data as rows of values.

    Args:
        data: The import data.
        delimiter: The delimiter of a CSV. Defaults to a comma.

    Raises:
        TypeError: The data, or a value in them, are of another type.
        ValueError: A text is not CSV, or has a column twice.

    Example:
        >>> read_rows(pd.DataFrame({"record_id": ["1", "2"], "age": [40, None]})).rows
        [{'record_id': '1', 'age': 40.0}, {'record_id': '2', 'age': None}]
    """
    if isinstance(data, str):
        return ImportRows(_read_csv(data, delimiter))
    if isinstance(data, pd.DataFrame):
        return _read_frame(data)
    if hasattr(data, "__arrow_c_stream__"):
        return _read_frame(to_frame(to_table(data), frames="arrow"))
    rows = [
        {str(name): read_scalar(str(name), value) for name, value in row.items()}
        for row in _check_list(data)
    ]
    return ImportRows(rows)


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


def _check_list(data: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(data, Mapping) or not isinstance(data, Sequence):
        raise TypeError(
            "data: must be a DataFrame, an Arrow table, a list of dicts, or the text of a CSV."
        )
    if not all(isinstance(row, Mapping) for row in data):
        raise TypeError("data: not every item of the list is a dict. Give one dict per row.")
    return data


# -- data frames ----------------------------------------------------------------------------------


def _read_frame(frame: pd.DataFrame) -> ImportRows:
    if not frame.columns.is_unique:
        raise ValueError("data: a column name is used twice. Rename or drop one of the columns.")
    columns: dict[str, list[Value]] = {}
    categories: dict[str, tuple[Any, ...]] = {}
    for label in frame.columns:
        name, column = str(label), frame[label]
        dtype: Any = column.dtype
        if isinstance(dtype, pd.ArrowDtype) and pa.types.is_dictionary(dtype.pyarrow_dtype):
            column = pa.table({name: pa.array(column)}).to_pandas()[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            categories[name] = tuple(column.dtype.categories)
        # tolist() makes floats of 64 bits, with digits that the shorter float does not have.
        number = getattr(dtype, "numpy_dtype", dtype)
        is_short = getattr(number, "kind", "") == "f" and number.itemsize < 8
        columns[name] = [
            read_scalar(name, number.type(value) if is_short and not pd.isna(value) else value)
            for value in column.tolist()
        ]
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return ImportRows(rows, categories)


# -- CSV ------------------------------------------------------------------------------------------


def _read_csv(text: str, delimiter: str) -> list[dict[str, Value]]:
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
