"""A synthetic study of any size: its dictionary as REDCap exports it, and its records as text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from redcap_dagster.project import REDCapProject

MARKER = "?"
"""Text that was entered where a value is missing."""

_FIELDS_OF_A_FORM = 20
_BLANK = 0.6
_MARKED = 0.01
_CHOICES = "1, Never | 2, Sometimes, but rarely | 3, Often | 9, Not known"
_BOXES = "1, Fever | 2, Cough | 3, Pain"

# Records that are made at a time, so that a million of them are never in memory together.
_PIECE = 50_000

_Random = np.random.Generator
_Row = dict[str, str]


def _set_validation(name: str) -> _Row:
    return {"text_validation_type_or_show_slider_number": name}


def _set_choices(field_type: str, choices: str) -> _Row:
    return {"field_type": field_type, "select_choices_or_calculations": choices}


def _make_texts(values: Any) -> pa.Array:
    return pc.cast(pa.array(values), pa.string())


def _make_dates(random: _Random, records: int) -> pa.Array:
    return pa.array(random.integers(0, 20_000, records), pa.int32()).cast(pa.date32())


def _make_times(random: _Random, records: int) -> pa.Array:
    minutes = pa.array(random.integers(0, 28_000_000, records) * 60).cast(pa.timestamp("s"))
    return pc.strftime(minutes, "%Y-%m-%d %H:%M")


def _make_words(random: _Random, records: int) -> pa.Array:
    numbers = _make_texts(random.integers(0, 50_000, records))
    return pc.binary_join_element_wise("seen at home, case", numbers, " ")


def _make_notes(random: _Random, records: int) -> pa.Array:
    numbers = _make_texts(random.integers(0, 50_000, records))
    return pc.binary_join_element_wise('said "better",\nsee case', numbers, " ")


_Kind = tuple[_Row, Callable[[_Random, int], pa.Array]]

_TEXTS: tuple[_Kind, ...] = (({}, _make_words), ({"field_type": "notes"}, _make_notes))
_YES_OR_NO: _Kind = (
    {"field_type": "yesno"},
    lambda random, n: _make_texts(random.integers(0, 2, n)),
)
_VALUES: tuple[_Kind, ...] = (
    ({}, lambda random, n: _make_texts(random.integers(0, 90, n))),
    (_set_validation("integer"), lambda random, n: _make_texts(random.integers(0, 10_000, n))),
    (_set_validation("number"), lambda random, n: _make_texts(random.normal(70, 9, n).round(2))),
    (_set_validation("date_dmy"), lambda random, n: _make_dates(random, n).cast(pa.string())),
    (_set_validation("datetime_ymd"), _make_times),
    _YES_OR_NO,
    (
        _set_choices("radio", _CHOICES),
        lambda random, n: _make_texts(random.choice([1, 2, 3, 9], n)),
    ),
    (
        _set_choices("dropdown", _CHOICES),
        lambda random, n: _make_texts(random.choice([1, 2, 3, 9], n)),
    ),
    (_set_choices("checkbox", _BOXES), lambda random, n: _make_texts(random.integers(0, 2, n))),
    ({"field_type": "calc"}, lambda random, n: _make_texts(random.normal(25, 4, n).round(6))),
    (_set_validation("phone"), lambda random, n: _make_texts(random.integers(10**9, 10**10, n))),
)

STUDIES: Mapping[str, tuple[_Kind, ...]] = {
    "mixed": (_TEXTS[0], _VALUES[0], _TEXTS[1], *_VALUES[1:]),
    "values": _VALUES,
    "branching": tuple(kind for other in _VALUES[:-1] for kind in (_YES_OR_NO, other)),
}
"""Kinds of fields and the values entered in them, by study; the fields take them in turn.

"values" has numbers, dates and choices with little text. In "branching", each other field is asked
where the answer to the one before it is yes.
"""


def make_dictionary(fields: int, study: str = "mixed") -> list[_Row]:
    """Return the dictionary of a classic project: instruments of 20 fields, all kinds in turn."""
    kinds = STUDIES[study]
    rows: list[_Row] = [{"field_name": "record_id", "form_name": "form_0", "field_type": "text"}]
    rows += [
        {
            "field_name": f"field_{number}",
            "form_name": f"form_{number // _FIELDS_OF_A_FORM}",
            "field_type": "text",
            **kinds[number % len(kinds)][0],
        }
        for number in range(fields)
    ]
    if study == "branching":
        for before, row in pairwise(rows[1:]):
            if _is_under_branching(row["field_name"]):
                row["branching_logic"] = f"[{before['field_name']}] = '1'"
    return rows


def _is_under_branching(name: str) -> bool:
    return int(name.removeprefix("field_")) % 2 == 1


def make_project(fields: int, study: str = "mixed") -> REDCapProject:
    """Return the project of that dictionary."""
    return REDCapProject.from_exports(metadata=make_dictionary(fields, study), version="14.7.3")


def make_records(fields: int, records: int, study: str = "mixed") -> Iterator[pa.Table]:
    """Yield the records in pieces, all text: many cells are blank, some are marked as missing."""
    project = make_project(fields, study)
    for first in range(1, records + 1, _PIECE):
        yield _make_piece(project, STUDIES[study], first, min(_PIECE, records + 1 - first))


def _make_piece(project: REDCapProject, kinds: Sequence[_Kind], first: int, count: int) -> pa.Table:
    random = np.random.default_rng(first)
    columns: dict[str, pa.Array] = {"record_id": _make_texts(np.arange(first, first + count))}
    for form in project.instruments:
        for column in project.columns(form.instrument_name):
            if column.name == f"{form.instrument_name}_complete":
                columns[column.name] = _make_texts(random.integers(0, 3, count))
                continue
            number = int(column.field.field_name.removeprefix("field_"))
            values = kinds[number % len(kinds)][1](random, count)
            columns[column.name] = values if column.choice else _add_gaps(random, values)
            if column.field.branching_logic:
                asked = pc.fill_null(pc.equal(columns[f"field_{number - 1}"], "1"), False)
                blank = "0" if column.choice else None
                columns[column.name] = pc.if_else(asked, columns[column.name], blank)
    return pa.table(columns)


def _add_gaps(random: _Random, values: pa.Array) -> pa.Array:
    chance = pa.array(random.random(len(values)))
    values = pc.if_else(pc.less(chance, _BLANK + _MARKED), MARKER, values)
    return pc.if_else(pc.less(chance, _BLANK), None, values)


def write_csv_lines(records: pa.Table) -> pa.Array:
    """Return each row as a line of CSV with its newline, quoted as PHP does it."""
    cells = []
    for text in records.combine_chunks().columns:
        quoted = pc.replace_substring(text, '"', '""')
        quoted = pc.binary_join_element_wise('"', quoted, '"', "")
        cells.append(pc.if_else(pc.match_substring_regex(text, '[ ,"\n]'), quoted, text))
    lines = pc.binary_join_element_wise(*cells, ",", null_handling="replace", null_replacement="")
    return pc.binary_join_element_wise(lines, "\n", "").combine_chunks()


def write_export(path: Path, fields: int, records: int) -> None:
    """Write REDCap's CSV export of all records to a file."""
    with path.open("wb") as file:
        for number, piece in enumerate(make_records(fields, records)):
            if not number:
                file.write(",".join(piece.column_names).encode() + b"\n")
            file.write(b"".join(line.as_buffer() for line in write_csv_lines(piece)))


def make_text_options(path: Path) -> pa_csv.ConvertOptions:
    """Return options that read all columns of a CSV file as text, blank cells as nulls."""
    with path.open(encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split(",")
    return pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
    )
