"""Exports of a project's records with other tools."""

import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import requests
from redcap.project import Project

from benchmarks.server import TOKEN
from benchmarks.study import MARKER, make_text_options

_BATCH = 100
_PAUSE = 0.5
"""Seconds between two requests."""


def prepare_pycap(url: str) -> Callable[[], pd.DataFrame]:
    """Prepare an export with PyCap, in one request; pandas guesses the types."""
    project = Project(url, TOKEN)
    return partial(project.export_records, format_type="df", df_kwargs={"index_col": False})


def prepare_script(url: str, folder: str) -> Callable[[], None]:
    """Prepare a script: export with PyCap, replace, convert by the dictionary, store."""
    import duckdb  # here, so that the memory of the other tools does not count it

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


def prepare_batches(url: str) -> Callable[[], pd.DataFrame]:
    """Prepare an export like REDCapR's: ids first, then 100 records per request, with pauses."""
    query = {"token": TOKEN, "content": "record", "format": "csv", "type": "flat"}

    def request(more: dict[str, str]) -> pd.DataFrame:
        response = requests.post(url, data=query | more, timeout=600)
        return pd.read_csv(io.StringIO(response.text), dtype=str)

    def export_batches() -> pd.DataFrame:
        ids = request({"fields[0]": "record_id"})["record_id"].tolist()
        frames = []
        for first in range(0, len(ids), _BATCH):
            batch = ids[first : first + _BATCH]
            frames.append(
                request({f"records[{index}]": record for index, record in enumerate(batch)})
            )
            time.sleep(_PAUSE)
        return pd.concat(frames)

    return export_batches


def prepare_arrow(path: str) -> Callable[[], pa.Table]:
    """Prepare to read the same bytes from a file as text with Arrow."""
    options = make_text_options(Path(path))
    # A note may hold newlines.
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    return partial(pa_csv.read_csv, path, convert_options=options, parse_options=parse)
