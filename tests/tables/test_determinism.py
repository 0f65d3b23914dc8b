"""The same export and dictionary give the same bytes, wherever they are cleaned."""

import os
import subprocess
import sys

SCRIPT = """
import hashlib, pyarrow as pa
from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import CleaningRules, clean, split_by_instrument

def field(name, kind="text", validation="", choices=""):
    return {"field_name": name, "form_name": "f", "field_type": kind,
            "text_validation_type_or_show_slider_number": validation,
            "select_choices_or_calculations": choices}

project = REDCapProject.from_exports(metadata=[
    field("id"), field("free"), field("note", "notes"), field("day", validation="date_dmy"),
    field("moment", validation="datetime_seconds_mdy"), field("hour", validation="time"),
    field("comma", validation="number_comma_decimal"), field("sum", "calc"),
    field("sex", "radio", choices="1, \\u00cf | 2, \\u0131")])
n = 5_000
export = pa.table({
    "id": [str(i) for i in range(n)], "free": [f"{i % 977}.5" for i in range(n)],
    "note": ["\\u0130stanbul \\u00df" * (i % 3) for i in range(n)],
    "day": [f"20{i % 100:02d}-03-{1 + i % 31:02d}" for i in range(n)],
    "moment": [f"2024-03-31 02:{i % 60:02d}:30" for i in range(n)],
    "hour": [f"{i % 25:02d}:30" for i in range(n)], "comma": [f"{i},25" for i in range(n)],
    "sum": [str(i / 7) for i in range(n)], "sex": [str(i % 4) for i in range(n)],
    "f_complete": [str(i % 3) for i in range(n)]})
table = clean(split_by_instrument(export, project)["f"], "f", project, CleaningRules()).table
sink = pa.BufferOutputStream()
with pa.ipc.new_stream(sink, table.schema) as stream:
    stream.write_table(table.combine_chunks())
print(hashlib.sha256(sink.getvalue()).hexdigest())
"""


def _digest(**environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1_000:]
    return done.stdout


def test_time_zone_locale_and_threads_change_no_byte() -> None:
    """The datetimes stand in the hour that a change of clocks leaves out in Europe.

    A locale that the machine does not have is as good as C: there this tests the zones and threads.
    """
    here = _digest(TZ="UTC", LC_ALL="C", OMP_NUM_THREADS="1", PYTHONHASHSEED="1")
    there = _digest(TZ="Europe/Istanbul", LC_ALL="tr_TR.UTF-8", PYTHONHASHSEED="2")
    berlin = _digest(TZ="Europe/Berlin", LC_ALL="de_DE.UTF-8", OMP_NUM_THREADS="4")
    assert here == there == berlin
