"""What people do otherwise to have the records of a project."""

import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import requests
from redcap.project import Project

from benchmarks.server import TOKEN
from benchmarks.study import MARKER, as_text

_BATCH = 100
_PAUSE = 0.5


def pycap(url: str) -> Callable[[], pd.DataFrame]:
    """Export with PyCap, in one request; pandas guesses the types."""
    project = Project(url, TOKEN)
    return partial(project.export_records, format_type="df", df_kwargs={"index_col": False})


def script(url: str, folder: str) -> Callable[[], None]:
    """Do what a script does: export with PyCap, replace, convert by the dictionary, store."""

    def run() -> None:
        project = Project(url, TOKEN)
        frame = project.export_records(format_type="df").replace(MARKER, pd.NA)
        for field in project.metadata:
            name, kind = (
                field["field_name"],
                field.get("text_validation_type_or_show_slider_number"),
            )
            if name not in frame:
                continue
            if kind in ("integer", "number") or field["field_type"] in ("calc", "yesno"):
                frame[name] = pd.to_numeric(frame[name], errors="coerce")
            elif kind is not None and kind.startswith("date"):
                frame[name] = pd.to_datetime(frame[name], errors="coerce")
        frame = frame.reset_index()
        with duckdb.connect(f"{mkdtemp(dir=folder)}/script.duckdb") as connection:
            connection.execute("create table records as from frame")

    return run


def in_batches(url: str) -> Callable[[], pd.DataFrame]:
    """Export as REDCapR does: the ids first, then a hundred records at a time, with pauses."""
    asked = {"token": TOKEN, "content": "record", "format": "csv", "type": "flat"}

    def ask(more: dict[str, str]) -> pd.DataFrame:
        answer = requests.post(url, data=asked | more, timeout=600)
        return pd.read_csv(io.StringIO(answer.text), dtype=str)

    def batches() -> pd.DataFrame:
        ids = ask({"fields[0]": "record_id"})["record_id"].tolist()
        frames = []
        for first in range(0, len(ids), _BATCH):
            batch = ids[first : first + _BATCH]
            frames.append(ask({f"records[{place}]": one for place, one in enumerate(batch)}))
            time.sleep(_PAUSE)
        return pd.concat(frames)

    return batches


def arrow(path: str) -> Callable[[], pa.Table]:
    """Read the same bytes from a file as text with Arrow, as it does by default."""
    options = as_text(Path(path))
    # A note may hold newlines.
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    return partial(pa_csv.read_csv, path, convert_options=options, parse_options=parse)
