"""From an export to clean tables: time beside ``pandas.read_csv`` on the same bytes, and memory.

Run it with ``python -m benchmarks.tables [--records N] [--fields N]`` or ``... --growth``. Every
measurement has a process of its own, so that none has another's memory; the two take turns, and of
each the fastest run counts. Memory is what a process takes from before it reads the CSV on.
"""

# ruff: noqa: T201
import argparse
import io
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, clean, instrument_table

RUNS = 3
FIELDS_OF_A_FORM = 20
BLANK = 0.1
MARKED = 0.01
CHOICES = "1, Never | 2, Sometimes, but rarely | 3, Often | 9, Not known"

GROWTH = (
    *((10_000, 12), (100_000, 12), (1_000_000, 12)),
    *((10_000, 120), (10_000, 1_000), (10_000, 3_000)),
)
"""Records and fields."""

_Result = TypeVar("_Result")
_Random = np.random.Generator
_Row = dict[str, str]


def _validated(name: str) -> _Row:
    return {"text_validation_type_or_show_slider_number": name}


def _texts(values: Any) -> pa.Array:
    return pc.cast(pa.array(values), pa.string())


def _dates(random: _Random, records: int) -> pa.Array:
    return pa.array(random.integers(0, 20_000, records), pa.int32()).cast(pa.date32())


def _moments(random: _Random, records: int) -> pa.Array:
    minutes = pa.array(random.integers(0, 28_000_000, records) * 60).cast(pa.timestamp("s"))
    return pc.strftime(minutes, "%Y-%m-%d %H:%M")


def _words(random: _Random, records: int) -> pa.Array:
    numbers = _texts(random.integers(0, 50_000, records))
    return pc.binary_join_element_wise("seen at home, case", numbers, " ")


# What a field is and what is typed into it; a form takes them in turn.
KINDS: tuple[tuple[_Row, Callable[[_Random, int], pa.Array]], ...] = (
    ({}, _words),
    ({}, lambda random, n: _texts(random.integers(0, 90, n))),
    (_validated("integer"), lambda random, n: _texts(random.integers(0, 10_000, n))),
    (_validated("number"), lambda random, n: _texts(random.normal(70, 9, n).round(2))),
    (_validated("date_dmy"), lambda random, n: _dates(random, n).cast(pa.string())),
    (_validated("datetime_ymd"), _moments),
    ({"field_type": "yesno"}, lambda random, n: _texts(random.integers(0, 2, n))),
    (
        {"field_type": "radio", "select_choices_or_calculations": CHOICES},
        lambda random, n: _texts(random.choice([1, 2, 3, 9], n)),
    ),
    (
        {"field_type": "dropdown", "select_choices_or_calculations": CHOICES},
        lambda random, n: _texts(random.choice([1, 2, 3, 9], n)),
    ),
    (
        {"field_type": "checkbox", "select_choices_or_calculations": "1, Yes"},
        lambda random, n: _texts(random.integers(0, 2, n)),
    ),
    ({"field_type": "calc"}, lambda random, n: _texts(random.normal(25, 4, n).round(6))),
    (_validated("phone"), lambda random, n: _texts(random.integers(10**9, 10**10, n))),
)


def project_of(fields: int) -> REDCapProject:
    """Make a classic project with forms of twenty fields, of all kinds in turn."""
    rows: list[_Row] = [{"field_name": "record_id", "form_name": "form_0"}]
    rows += [
        {"field_name": f"field_{number}", "form_name": f"form_{number // FIELDS_OF_A_FORM}"}
        | KINDS[number % len(KINDS)][0]
        for number in range(fields)
    ]
    return REDCapProject.from_exports(metadata=rows)


def write_export(path: Path, project: REDCapProject, records: int) -> None:
    """Write the CSV that REDCap would send: a tenth of it blank, some of it marked as missing."""
    random = np.random.default_rng(1)
    columns: dict[str, pa.Array] = {"record_id": _texts(np.arange(1, records + 1))}
    number = 0
    for form in project.instruments:
        for column in project.columns(form.instrument_name):
            if column.name.endswith("_complete"):
                columns[column.name] = _texts(random.integers(0, 3, records))
                continue
            values = KINDS[number % len(KINDS)][1](random, records)
            if column.field.field_type != "checkbox":
                chance = pa.array(random.random(records))
                values = pc.if_else(pc.less(chance, BLANK + MARKED), "?", values)
                values = pc.if_else(pc.less(chance, BLANK), None, values)
            columns[column.name] = values
            number += 1
    options = pa_csv.WriteOptions(quoting_style="needed")
    pa_csv.write_csv(pa.table(columns), path, options)


def read_text(path: Path) -> pa.Table:
    """Read an export as the client does: piece by piece, all text, blanks null."""
    with path.open(encoding="utf-8") as file:
        header = file.readline().rstrip("\n").replace('"', "").split(",")
    return pa_csv.open_csv(
        path,
        pa_csv.ReadOptions(block_size=1 << 24, use_threads=False),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    ).read_all()


def clean_all(export: pa.Table, project: REDCapProject) -> int:
    """Give records and clean tables form by form, each let go before the next, as the assets do."""
    rules = CleaningRules()
    cells = 0
    for form in project.instruments:
        records = instrument_table(export, project, form.instrument_name)
        table = clean(records, form.instrument_name, project, rules).table
        cells += table.num_rows * table.num_columns
    return cells


def _time_ours(path: Path, fields: int) -> tuple[float, float]:
    project = project_of(fields)
    before = _peak()
    export = read_text(path)
    clean_all(export.slice(0, 100), project)  # what only a first run takes
    start = time.perf_counter()
    clean_all(export, project)
    return time.perf_counter() - start, _peak() - before


def _time_pandas(path: Path, fields: int) -> tuple[float, float]:  # noqa: ARG001
    before = _peak()
    text = path.read_bytes()
    pd.read_csv(io.BytesIO(text), nrows=100)
    start = time.perf_counter()
    pd.read_csv(io.BytesIO(text))
    return time.perf_counter() - start, _peak() - before


def _peak() -> int:
    """Give the most memory that this process has had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _alone(what: Callable[..., _Result], *arguments: object) -> _Result:
    """Run something in a process of its own; this one stays small, as its size is inherited."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(what, arguments)


def _write(path: Path, fields: int, records: int) -> int:
    write_export(path, project_of(fields), records)
    return path.stat().st_size


def _beside_pandas(folder: Path, records: int, fields: int) -> None:
    path = folder / "export.csv"
    size = _alone(_write, path, fields, records)
    print(f"{records:,} records x {fields:,} fields, {size / 1e6:.0f} MB of CSV")
    ours, pandas = [], []
    for _ in range(RUNS):
        ours.append(_alone(_time_ours, path, fields))
        pandas.append(_alone(_time_pandas, path, fields))
    for name, results in {"clean tables": ours, "pandas.read_csv": pandas}.items():
        seconds = min(result[0] for result in results)
        memory = max(result[1] for result in results)
        print(f"  {name:<16} {seconds:6.2f} s   peak {memory / size:4.1f} x the CSV")


def _growth(folder: Path) -> None:
    print("Seconds for a million cells:")
    for records, fields in GROWTH:
        path = folder / "export.csv"
        _alone(_write, path, fields, records)
        seconds, _ = _alone(_time_ours, path, fields)
        cells = records * fields / 1e6
        print(f"  {records:>9,} records x {fields:>5,} fields  {seconds / cells:6.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--fields", type=int, default=120)
    parser.add_argument("--growth", action="store_true", help="how time grows with the size")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.growth:
            _growth(Path(folder))
        else:
            _beside_pandas(Path(folder), asked.records, asked.fields)


if __name__ == "__main__":
    main()
