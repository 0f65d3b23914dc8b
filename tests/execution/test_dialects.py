"""A project on every kind of server: the same tables, and changes of them are seen."""

from pathlib import Path
from typing import Any

import pytest

from redcap_dagster.sandbox.dialects import DIALECTS, Dialect
from tests.dagster_runs import studying
from tests.dictionary import field

EXPORTS: dict[str, Any] = {
    "metadata": [
        field("id", "base"),
        field("age", "base", validation="integer"),
        field("note", "base", type="notes"),
        field("dose", "drug", validation="number_1dp"),
        field("side", "drug", type="checkbox", choices="1, A | 2, B"),
    ],
    "project": {},
    "repeatingFormsEvents": [{"form_name": "drug"}],
}
ROWS: list[dict[str, Any]] = [
    {"id": "1", "age": "40", "note": 'a\\"b"c, d', "base_complete": "2"},
    {"id": "2", "age": "050", "note": "C:\\", "base_complete": "0"},
    {"id": "3", "age": "60", "base_complete": "1", "redcap_data_access_group": "north"},
    *(
        {"id": "3", "redcap_repeat_instrument": "drug", "redcap_repeat_instance": instance}
        | {"dose": f"{instance}.5", "side___2": "1", "drug_complete": "2"}
        for instance in (1, 2)
    ),
]
# The user of most tokens may neither see access groups nor read the log.
RIGHTS = {"data_access_groups": 0, "logging": 0, "user_rights": 0}
GROUP = "redcap_data_access_group"
QUICK = ("default", "foreign")
SERVERS = [
    pytest.param(dialect, marks=[pytest.mark.slow] * (dialect.name not in QUICK), id=dialect.name)
    for dialect in [*DIALECTS.values(), *map(Dialect.draw, range(3))]
]


@pytest.mark.parametrize("dialect", SERVERS)
def test_the_tables_hold_what_people_entered(dialect: Dialect, tmp_path: Path) -> None:
    project: dict[str, Any] = {"exports": EXPORTS, "records": ROWS, "rights": RIGHTS}
    with studying(tmp_path, dialect=dialect, **project) as study:
        assert study.run().success
        base, drug = (study.table(f"study_records.{form}").to_pylist() for form in ("base", "drug"))
        ages = study.table("study_clean.base").sort_by("id")["age"].to_pylist()

    entered = ("id", "age", "note", "base_complete")
    base.sort(key=lambda row: row["id"])
    for row, typed in zip(base, ROWS[:3], strict=True):
        assert {name: row[name] for name in entered} == {name: typed.get(name) for name in entered}
    assert [row["dose"] for row in drug if row["dose"]] == ["1.5", "2.5"]
    assert ages == [40, 50, 60]
    assert (GROUP in base[0]) == (dialect.access_groups == "exported")
