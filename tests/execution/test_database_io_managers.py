"""Dagster's own database IO managers, which are installed with pandas 2 only."""

from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster_duckdb_pandas import DuckDBPandasIOManager

from redcap_dagster import OpSettings, StorageSettings, build_redcap_definitions
from redcap_dagster.execution.guards.new_columns import ALLOW_NEW_COLUMNS
from redcap_dagster.execution.guards.other_project import ALLOW_OTHER_PROJECT
from redcap_dagster.partitions import bucket_keys
from redcap_dagster.resource import REDCapResource
from tests.checks.conftest import reasons
from tests.dagster_runs import TOKEN_VARIABLE, Study, entry, materializations
from tests.dictionary import field
from tests.execution.test_buckets import METADATA, RECORDS, definitions, run

VARIABLES = {"north": "NORTH_REDCAP_TOKEN", "south": "SOUTH_REDCAP_TOKEN"}
TYPED = [
    field("record_id", "visit"),
    field("seen", "visit", validation="date_ymd"),
    field("slept", "visit", validation="time"),
    field("sex", "visit", type="radio", choices="1, F | 2, M"),
    field("box", "visit", type="checkbox", choices="1, A"),
]
ROW = {"record_id": "007", "seen": "2024-01-31", "slept": "06:30", "sex": "2", "box___1": "1"}
STUDY: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS}


def io_manager(study: Study, **options: Any) -> DuckDBPandasIOManager:
    return DuckDBPandasIOManager(database=str(study.database), **options)


def read(study: Study, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(study.database), read_only=True) as connection:
        return connection.sql(query).fetchall()


@pytest.mark.parametrize("options", [{}, {"schema": "own"}])
def test_each_asset_of_two_studies_has_a_table(
    study: Study, monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    projects = []
    for name, variable in VARIABLES.items():
        row = {**ROW, "record_id": name}
        token = study.sandbox.add_project(exports={"metadata": TYPED}, records=[row])
        monkeypatch.setenv(variable, token)
        redcap = REDCapResource(url=study.sandbox.url, token=dg.EnvVar(variable))
        storage = StorageSettings("warehouse", kind="duckdb")
        projects.append(build_redcap_definitions(name=name, redcap=redcap, storage=storage))
    warehouse = dg.Definitions(resources={"warehouse": io_manager(study, **options)})
    defs = dg.Definitions.merge(*projects, warehouse)
    made = materializations(study.run(defs))
    tables = "select schema_name || '.' || table_name from duckdb_tables()"
    assert sorted(name for (name,) in read(study, tables)) == sorted(
        f"{name}_{layer}.{table}" for name, layer, table in (key.split("/") for key in made)
    )
    name = f"{study.database}.south_clean.visit"
    assert entry(made["south/clean/visit"], "dagster/table_name") == name
    types = "select data_type from duckdb_columns() where schema_name = 'south_clean'"
    kinds = ["VARCHAR", "DATE", "TIME", "VARCHAR", "BOOLEAN", "VARCHAR"]
    assert [kind for (kind,) in read(study, types)] == kinds
    # And from storage.
    assert study.run(defs, select=["south/clean/visit"]).success
    for name in VARIABLES:
        assert read(study, f"select record_id, sex from {name}_clean.visit") == [(name, "M")]  # noqa: S608


def test_buckets_are_parts_of_one_table(study: Study) -> None:
    together = OpSettings(backfill_policy=dg.BackfillPolicy.single_run())
    defs = definitions(study, 2, storage=io_manager(study), op=together)
    one, two = bucket_keys(2)
    ids = "select record_id from study_clean.visit order by all"
    for keys in ([one], [two], [one, two], [one]):
        assert run(study, keys, defs).success
    assert [record for (record,) in read(study, ids)] == sorted(row["record_id"] for row in RECORDS)
    before = read(study, "from study_clean.visit order by all")
    assert run(study, [one, two], defs, ["study/clean/visit"]).success
    assert read(study, "from study_clean.visit order by all") == before


def test_rows_do_not_go_into_other_columns(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster inserts them by position: those of a field with a new name would have the old one."""
    names = ["study/records/visit", "study/clean/visit", "study/records/drug"]
    job = study.definitions(storage=io_manager(study)).resolve_implicit_global_asset_job_def()

    def materialize(**tags: str) -> dg.ExecuteInProcessResult:
        # The sandbox cannot edit the dictionary of a project: this is another one.
        return job.execute_in_process(
            instance=study.instance,
            asset_selection=[dg.AssetKey.from_user_string(name) for name in names],
            tags={ALLOW_OTHER_PROJECT: "true", **tags},
            raise_on_error=False,
        )

    assert materialize().success
    before = read(study, "from study_clean.visit order by all")
    metadata = [METADATA[0], {**METADATA[1], "field_name": "years"}, *METADATA[2:]]
    records = [{"record_id": row["record_id"], "years": "7", "dose": "1"} for row in RECORDS]
    token = study.sandbox.add_project(exports={"metadata": metadata}, records=records)
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    result = materialize()
    assert not result.success
    assert "has other columns than now (age, years)" in reasons(result)
    assert "study/records/drug" in materializations(result)
    assert read(study, "from study_clean.visit order by all") == before
    with duckdb.connect(str(study.database)) as connection:
        connection.execute("drop table study_records.visit; drop table study_clean.visit")
    assert materialize(**{ALLOW_NEW_COLUMNS: "true"}).success
    assert read(study, "select distinct years from study_clean.visit") == [(7,)]
    assert materialize().success


def test_rows_of_another_number_of_buckets_do_not_stay(study: Study) -> None:
    for count in (2, 4):
        defs = definitions(study, count, storage=io_manager(study))
        result = run(study, bucket_keys(count)[:1], defs)
        assert result.success == (count == 2)
    assert "another number of buckets than now" in reasons(result)
    assert read(study, 'select distinct "_bucket" from study_clean.visit') == [("1-of-2",)]
