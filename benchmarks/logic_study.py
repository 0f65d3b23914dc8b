"""A study of which a hundred fields have branching logic, and the task that evaluates it."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import StudyRows, find_asked

FIELDS: Final = 100
"""How many fields have branching logic."""

_CHOICES: Final = 20
_VARIED: Final = 40


def prepare_logic(rows: str) -> Callable[[], None]:
    """Return a function that finds in which rows each field was asked."""
    study = _make_study(int(rows))

    def find() -> None:
        find_asked(study, "visit")

    return find


def _make_study(rows: int) -> StudyRows:
    random = np.random.default_rng(1)
    columns = {"record_id": [str(row) for row in range(rows)]}
    metadata = [{"field_name": "record_id", "form_name": "visit"}]
    for number in range(_CHOICES):
        columns[f"choice_{number}"] = random.choice(["1", "2", "3"], rows).tolist()
    for number in range(_VARIED):
        if number < _VARIED // 2:
            columns[f"varied_{number}"] = [f"{value:.5f}" for value in random.random(rows) * 100]
        else:
            days = np.datetime64("1700-01-01") + random.permutation(rows)
            columns[f"varied_{number}"] = days.astype(str).tolist()
    metadata += [{"field_name": name, "form_name": "visit"} for name in list(columns)[1:]]
    metadata += [
        {"field_name": f"asked_{number}", "form_name": "visit", "branching_logic": _write(number)}
        for number in range(FIELDS)
    ]
    return StudyRows(REDCapProject.from_exports(metadata=metadata), {"visit": pa.table(columns)})


def _write(number: int) -> str:
    """Return the branching logic of a field."""
    if 2 * number < _VARIED:
        return f"[varied_{2 * number}] < [varied_{2 * number + 1}]"
    first, second, third = (f"choice_{number * step % _CHOICES}" for step in (1, 3, 7))
    return f"[{first}] = '1' and ([{second}] <> '{1 + number % 3}' or [{third}] > 1)"
