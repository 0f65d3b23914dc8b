"""Queries of a project that changes between runs: ids, states, history, and what Dagster gets."""

import os
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
import requests
from openpyxl import load_workbook

from redcap_dagster import (
    CheckRules,
    CheckSettings,
    PartitionSettings,
    QualityRule,
    QuerySettings,
    REDCapProject,
)
from redcap_dagster.api import RecordExport, REDCapClient
from redcap_dagster.execution.all_forms import history_guard
from redcap_dagster.execution.all_forms import queries as all_queries
from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.partitions import assign_buckets, bucket_keys
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables.quality import DESCRIPTIONS
from redcap_dagster.tables.queries.columns import HISTORY_SCHEMA, OPEN_SCHEMA
from redcap_dagster.tables.status import STATUS_SCHEMA
from tests.dagster_runs import TOKEN_VARIABLE, Study, check_results, entry, materializations
from tests.dictionary import field

CANARY = "DROMEDARY"
METADATA = [
    field("id", "visit"),
    field("age", "visit", label="Age", validation="integer", minimum="18", maximum="99"),
    field("mail", "visit", identifier="y", validation="integer"),
    field("sex", "visit", type="radio", choices="0, F | 1, M"),
    field("hb", "lab", validation="number", minimum="5"),
]
PROJECT = REDCapProject.from_exports(metadata=METADATA, header=["redcap_data_access_group"])
RECORDS = [
    {"id": record, "redcap_data_access_group": group, "age": age, "hb": hb}
    | {"mail": "1", "visit_complete": "2", "lab_complete": "2"}
    for record, group, age, hb in [
        ("1", "north", "17", "14"),
        ("2", "north", "40", "2"),
        ("3", "south", "150", "12"),
        ("4", "south", "41", "13"),
        (CANARY, "south", "16", "3"),
    ]
]
STUDY: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS}
Queries = Mapping[tuple[str, str], str]


def edit(study: Study, record: str, name: str, value: str) -> None:
    study.sandbox.edit(study.token, record=record, field=name, value=value)


def open_list(study: Study) -> Queries:
    """Return the state of each query in the open list, by record and field."""
    rows = study.table("study_queries.open").to_pylist()
    return {(row["record"], row["field"]): row["state"] for row in rows}


def life(study: Study) -> Mapping[tuple[str, str], list[str]]:
    rows = study.table("study_queries.history").sort_by("step").to_pylist()
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        found.setdefault((row["record"], row["field"]), []).append(row["what"])
    return found


def read_workbook(path: Path, sheet: str = "Queries") -> list[dict[str, str]]:
    rows = load_workbook(path)[sheet].iter_rows(values_only=True)
    head = [f"{name}" for name in next(rows)]
    return [dict(zip(head, map(str, row), strict=True)) for row in rows]


def define(study: Study, **options: Any) -> dg.Definitions:
    given = {"project": PROJECT, "queries": True, "status": True, **options}
    return study.definitions(**given)


def confirm(folder: Path, study: Study, record: str, name: str) -> QuerySettings:
    """Confirm a query in a file, and return the settings that read it."""
    rows = study.table("study_queries.open").to_pylist()
    (query_id,) = [
        row["query_id"] for row in rows if (row["record"], row["field"]) == (record, name)
    ]
    file = folder / "confirmed.csv"
    file.write_text(f"query_id,who,why\n{query_id},Ada,as in the source\nQAAAAAAAAAAAA,Ada,?\n")
    return QuerySettings(confirmations=str(file))


FIRST = {
    ("1", "age"): "open",
    ("2", "hb"): "open",
    ("3", "age"): "open",
    (CANARY, "age"): "open",
    (CANARY, "hb"): "open",
}


@pytest.fixture
def begun(study: Study) -> Study:
    assert study.run(define(study)).success
    assert open_list(study) == FIRST
    return study


def test_one_mended_one_new_one_changed_one_confirmed(begun: Study, tmp_path: Path) -> None:
    settings = confirm(tmp_path, begun, "2", "hb")
    edit(begun, "1", "age", "18")
    edit(begun, "4", "sex", "7")
    edit(begun, "3", "age", "151")

    definitions = define(begun, queries=settings)
    result = begun.run(definitions)
    assert result.success
    assert open_list(begun) == {
        ("4", "sex"): "open",
        ("3", "age"): "open",
        (CANARY, "age"): "open",
        (CANARY, "hb"): "open",
    }
    expected = {
        ("1", "age"): ["found", "solved"],
        ("2", "hb"): ["found", "confirmed"],
        ("3", "age"): ["found", "changed"],
        ("4", "sex"): ["found"],
        (CANARY, "age"): ["found"],
        (CANARY, "hb"): ["found"],
    }
    assert life(begun) == expected
    made = materializations(result)
    assert entry(made["study/queries/open"], "redcap/refused_confirmations") == {
        "3": "no query has its id"
    }
    assert begun.run(definitions).success  # nothing changed: nothing to add
    assert life(begun) == expected

    edit(begun, "2", "hb", "3")
    assert begun.run(definitions).success
    assert open_list(begun)["2", "hb"] == "open"
    assert life(begun)["2", "hb"] == ["found", "confirmed", "changed"]


def test_counts_of_checks_are_those_of_the_list(study: Study) -> None:
    result = study.run(define(study))

    counted = sum(
        entry(check, "redcap/count")
        for (_, name), check in check_results(result).items()
        if name in ("within_range", "values_fit_types", "choices_known")
    )
    made = materializations(result)["study/queries/open"]
    assert counted == len(open_list(study)) == entry(made, "redcap/open_queries")
    assert entry(made, "redcap/open_queries/within_range") == 5
    assert entry(made, "redcap/open_queries/choices_known") == 0
    assert entry(made, "redcap/open_queries_in/south") == 3
    assert "| within_range | south | 3 |" in entry(made, "redcap/queries")


def test_a_run_of_one_form_judges_the_others_as_they_are_stored(begun: Study) -> None:
    before = begun.table("study_queries.open")
    edit(begun, "2", "hb", "9")
    edit(begun, "1", "age", "30")
    one_form = ["records/visit", "clean/visit", "queries/open", "queries/history"]
    assert begun.run(define(begun), select=[f"study/{key}" for key in one_form]).success

    after = begun.table("study_queries.open")
    left = [row for row in before.to_pylist() if (row["record"], row["field"]) != ("1", "age")]
    assert after.to_pylist() == left
    assert life(begun)["1", "age"] == ["found", "solved"]
    assert life(begun)["2", "hb"] == ["found"]


def test_duplicate_rows_are_one_query_and_counted_once(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = REDCapClient.export_snapshot

    def doubled(*given: Any, **selection: Any) -> RecordExport:
        export = honest(*given, **selection)
        return replace(export, table=pa.concat_tables([export.table] * 2))

    monkeypatch.setattr(REDCapClient, "export_snapshot", doubled)
    rules = CheckRules(
        settings={"keys_unique": CheckSettings(severity="warn")},
        own_rules=[QualityRule("Much hemoglobin", "[hb] > 11")],
    )
    found = check_results(study.run(define(study, checks=rules)))
    assert entry(found["study/records/visit", "keys_unique"], "redcap/count") == len(RECORDS)
    rows = [row["rule"] for row in study.table("study_queries.open").to_pylist()]
    for rule, check, count in (
        ("within_range", "within_range", 5),
        ("Much hemoglobin", "rule_much_hemoglobin", 3),
    ):
        counts = [entry(one, "redcap/count") for (_, name), one in found.items() if name == check]
        assert sum(counts) == rows.count(rule) == count


def test_a_record_that_is_gone_is_neither_counted_nor_listed(begun: Study) -> None:
    begun.sandbox.delete_record(begun.token, "2")
    select = ["records/visit", "clean/visit", "clean/lab", "queries/open", "queries/history"]
    result = begun.run(define(begun), select=[f"study/{key}" for key in select])
    assert entry(check_results(result)["study/clean/lab", "within_range"], "redcap/count") == 1
    assert {record for record, name in open_list(begun) if name == "hb"} == {CANARY}


def test_a_value_that_another_group_may_have_is_not_called_solved(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = {"metadata": METADATA, "project": {"secondary_unique_field": "age"}}
    records = [{**row, "age": "40"} for row in RECORDS[1:3]]
    monkeypatch.setenv(TOKEN_VARIABLE, study.sandbox.add_project(exports=exports, records=records))
    token = os.environ[TOKEN_VARIABLE]
    rules = CheckRules(allow_shrink=True, own_rules=[QualityRule("Once", unique=["age", "mail"])])
    definitions = define(
        study, checks=rules, queries=QuerySettings(rules=["secondary_unique", "Once"])
    )
    assert study.run(definitions).success
    both = ["Once", "Once", "secondary_unique", "secondary_unique"]
    assert sorted(study.table("study_queries.open")["rule"].to_pylist()) == both
    study.sandbox.set_rights(token, {"data_access_group": "north"})
    assert study.run(definitions).success
    rows = study.table("study_queries.open").to_pylist()
    assert {(row["record"], row["state"]) for row in rows} == {
        ("2", "not judged"),
        ("3", "hidden from this token"),
    }
    study.sandbox.set_rights(token, {"data_access_group": ""})
    study.sandbox.edit(token, record="3", field="age", value="41")
    assert study.run(definitions).success
    assert study.table("study_queries.open").num_rows == 0


@pytest.mark.slow
def test_a_new_token_a_deleted_record_and_a_rule_switched_off(begun: Study) -> None:
    before = begun.table("study_queries.history")
    token = begun.sandbox.add_user(begun.token, "other")
    begun.sandbox.delete_record(begun.token, "3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        assert begun.run(define(begun)).success
    assert life(begun)["3", "age"] == ["found", "record deleted"]
    after = begun.table("study_queries.history")
    assert after.num_rows == before.num_rows + 1

    off = CheckRules(settings={"within_range": CheckSettings(enabled=False)})
    assert begun.run(define(begun, checks=off)).success
    assert open_list(begun) == {}
    assert life(begun)["1", "age"] == ["found", "rule withdrawn"]
    assert life(begun)["3", "age"] == ["found", "record deleted"]
    assert begun.run(define(begun)).success
    assert life(begun)["1", "age"] == ["found", "rule withdrawn", "found again"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rights", "hidden"),
    [
        ({"forms_export": {"lab": 0}}, {("2", "hb"), (CANARY, "hb")}),
        ({"data_access_group": "north"}, {("3", "age"), (CANARY, "age"), (CANARY, "hb")}),
    ],
)
def test_what_a_token_no_longer_sees_is_not_solved(
    begun: Study, rights: dict[str, Any], hidden: set[tuple[str, str]]
) -> None:
    begun.sandbox.set_rights(begun.token, rights)
    shrinking = CheckRules(allow_shrink=True)
    assert begun.run(define(begun, checks=shrinking)).success

    assert open_list(begun) == {
        key: "hidden from this token" if key in hidden else "open" for key in FIRST
    }
    assert not any({"solved", "record deleted"} & set(steps) for steps in life(begun).values())
    begun.sandbox.set_rights(begun.token, {"forms_export": {"lab": 1}, "data_access_group": ""})
    assert begun.run(define(begun, checks=shrinking)).success
    assert open_list(begun) == FIRST


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["duckdb", "parquet"])
def test_buckets_have_the_states_of_the_whole_project(
    study: Study, tmp_path: Path, storage: str
) -> None:
    place = (
        DuckDBTableIOManager(database=str(study.database))
        if storage == "duckdb"
        else ParquetTableIOManager(base_path=str(tmp_path / "tables"))
    )
    queries = QuerySettings(workbook=str(tmp_path / "workbooks"))
    definitions = define(study, partitions=PartitionSettings(3), storage=place, queries=queries)

    def read(table: str) -> Sequence[Mapping[str, Any]]:
        key = TablePlace(dg.AssetKey(["study", "queries", table]))
        rows: list[Mapping[str, Any]] = place.read_table(key, bucket_keys(3)).to_pylist()
        return rows

    def run(buckets: Sequence[str]) -> None:
        job = dg.define_asset_job("buckets", selection=dg.AssetSelection.groups(
            *(f"study_{layer}" for layer in ("records", "clean", "queries", "status"))
        ))  # fmt: skip
        whole = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
        for bucket in buckets:
            done = whole.resolve_job_def("buckets").execute_in_process(
                instance=study.instance, partition_key=bucket, raise_on_error=False
            )
            assert done.success

    run(bucket_keys(3))
    first = read("open")
    assert {(row["record"], row["field"]): row["state"] for row in first} == FIRST
    rows = [row for path in (tmp_path / "workbooks").iterdir() for row in read_workbook(path)]
    assert {(row["record"], row["field"]) for row in rows} == FIRST.keys()
    for record, _ in FIRST:
        edit(study, record, "age", "30")
    run(bucket_keys(3)[:1])
    solved = {row["record"] for row in read("history") if row["what"] == "solved"}
    left = {row["record"] for row in read("open") if row["field"] == "age"}
    assert solved | left == {"1", "3", CANARY}
    assert not solved & left
    run(bucket_keys(3))
    assert {(row["record"], row["field"]) for row in read("open")} == {
        ("2", "hb"),
        (CANARY, "hb"),
    }
    ids = {row["query_id"] for row in first}
    assert {row["query_id"] for row in read("open")} <= ids


def test_a_run_of_several_buckets_counts_each_and_one_of_a_bucket_knows_its_own_queries(
    study: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert study.run(define(study)).success
    queries = [
        row for row in study.table("study_queries.open").to_pylist() if row["field"] == "age"
    ]
    file = tmp_path / "confirmed.csv"
    ids = [row["query_id"] for row in queries]
    file.write_text("query_id,who,why\n" + "".join(f"{one},Ada,right\n" for one in ids))
    other = Study(study.sandbox, study.token, study.instance, tmp_path / "buckets.duckdb")
    definitions = define(
        other,
        partitions=PartitionSettings(3),
        queries=QuerySettings(confirmations=str(file)),
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(["study", "queries", name]) for name in ("open", "history")]
    keys += [dg.AssetKey(["study", layer, "visit"]) for layer in ("records", "clean")]

    def run(first: str, last: str) -> Mapping[str, dg.AssetMaterialization]:
        place = "dagster/asset_partition_range"
        result = job.execute_in_process(
            instance=study.instance,
            asset_selection=keys,
            tags={f"{place}_start": first, f"{place}_end": last},
            raise_on_error=False,
        )
        assert result.success
        return {
            str(one.partition): one
            for one in result.asset_materializations_for_node("study__tables")
            if one.asset_key == keys[0]
        }

    records = pa.chunked_array([[row["record"] for row in queries]])
    counts = Counter(assign_buckets(records, 3).to_pylist())
    assert len(counts) > 1
    bucket = next(iter(counts))
    assert entry(run(bucket, bucket)[bucket], "redcap/refused_confirmations") == {}
    assert "queries are not in the buckets of this run" in capfd.readouterr().err
    file.write_text("query_id,who,why\n")
    buckets = bucket_keys(3)
    made = run(buckets[0], buckets[-1])
    assert {one: entry(made[one], "redcap/open_queries") for one in buckets} == {
        one: 0 if one == bucket else counts[one]  # whose queries are confirmed
        for one in buckets
    }


def test_query_ids_are_those_of_another_machine(study: Study, tmp_path: Path) -> None:
    """Another Dagster instance, an empty warehouse, and a token of another user."""
    study.run(define(study))
    first = study.table("study_queries.open")["query_id"].to_pylist()
    other = Study(study.sandbox, study.token, study.instance, tmp_path / "other.duckdb")
    with dg.DagsterInstance.ephemeral() as instance:
        other = Study(study.sandbox, study.token, instance, tmp_path / "other.duckdb")
        other.run(define(other))
    assert other.table("study_queries.open")["query_id"].to_pylist() == first
    assert all(re.fullmatch("Q[A-Z2-7]{12}", one) for one in first)


def test_a_history_that_cannot_be_loaded_is_not_replaced(begun: Study, tmp_path: Path) -> None:
    parquet = ParquetTableIOManager(base_path=str(tmp_path / "tables"))
    assert begun.run(define(begun, storage=parquet)).success
    (file,) = (tmp_path / "tables").glob("**/history*.parquet")
    file.write_bytes(b"damaged")
    result = begun.run(define(begun, storage=parquet))
    assert not result.success
    assert file.read_bytes() == b"damaged"
    assert "study/clean/visit" in materializations(result)
    assert "study/queries/open" not in materializations(result)


def test_the_columns_of_the_lists_are_described(begun: Study) -> None:
    with duckdb.connect(str(begun.database), read_only=True) as warehouse:
        comments = warehouse.execute(
            "select column_name, comment from duckdb_columns() "
            "where schema_name in ('study_queries', 'study_status')"
        ).fetchall()
    assert len(comments) == len(HISTORY_SCHEMA) + len(OPEN_SCHEMA) - 1 + len(STATUS_SCHEMA)
    assert [name for name, comment in comments if not comment] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "cause"),
    [
        ("find_last_stored", "another run stored the queries since this run began"),
        ("update_queries", "another run stored the queries since this run began"),
        ("_count", "another run is about to store the queries"),
    ],
)
def test_of_two_runs_at_once_one_stores_its_queries(
    begun: Study, monkeypatch: pytest.MonkeyPatch, moment: str, cause: str
) -> None:
    """The second run begins and ends before the first one judges or stores."""
    others: list[dg.ExecuteInProcessResult] = []
    honest = getattr(all_queries, moment)

    def run_another(*given: Any, **options: Any) -> Any:
        if threading.current_thread() is first and not others:
            edit(begun, "2", "age", "17")
            with ThreadPoolExecutor(1) as pool:
                others.append(pool.submit(begun.run, define(begun)).result())
        return honest(*given, **options)

    first = threading.current_thread()
    edit(begun, "4", "age", "17")
    monkeypatch.setattr(all_queries, moment, run_another)
    if moment == "update_queries":  # the other one may have begun earlier, and have taken longer
        monkeypatch.setattr(history_guard, "_began_later", lambda *_: False)
    results = [begun.run(define(begun)), *others]
    assert len(results) == 2
    stored, judged = results if moment == "_count" else reversed(results)
    assert stored.success
    assert not judged.success
    assert cause in str(study_failure(judged))
    assert "study/clean/lab" in materializations(judged)
    assert "study/queries/open" not in materializations(judged)
    monkeypatch.undo()
    assert begun.run(define(begun)).success
    assert life(begun)["2", "age"] == life(begun)["4", "age"] == ["found"]


@pytest.mark.slow
def test_a_run_that_has_stored_its_queries_is_not_waited_for(begun: Study) -> None:
    """Another run continues the history while the first one still analyzes it."""
    others: list[dg.ExecuteInProcessResult] = []

    @dg.asset(deps=[dg.AssetKey(["study", "queries", "history"])])
    def analysis() -> None:
        with ThreadPoolExecutor(1) as pool:
            others.append(pool.submit(begun.run, define(begun)).result())

    result = begun.run(dg.Definitions.merge(define(begun), dg.Definitions(assets=[analysis])))
    (other,) = others
    assert result.success
    assert other.success
    assert "study/queries/history" in materializations(other)


def test_bad_confirmations_stop_the_queries_alone(study: Study, tmp_path: Path) -> None:
    file = tmp_path / "confirmed.csv"
    file.write_text("query,who\n")
    result = study.run(define(study, queries=QuerySettings(confirmations=str(file))))
    assert not result.success
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    text = str(failure.step_failure_data.user_failure_data)
    assert "the list of queries: The file confirmed.csv does not have a row with" in text
    assert {"study/clean/lab", "study/status/forms"} <= set(materializations(result))


def test_status_counts_open_queries(begun: Study) -> None:
    rows = begun.table("study_status.forms").to_pylist()
    assert [
        (row["record"], row["instrument"], row["status"], row["open_queries"], row["access_group"])
        for row in rows[:4]
    ] == [
        ("1", "visit", "complete", 1, "north"),
        ("1", "lab", "complete", 0, "north"),
        ("2", "visit", "complete", 0, "north"),
        ("2", "lab", "complete", 1, "north"),
    ]


def test_the_link_opens_the_form(begun: Study) -> None:
    (row,) = [
        row
        for row in begun.table("study_queries.open").to_pylist()
        if (row["record"], row["field"]) == ("3", "age")
    ]
    with requests.Session() as browser:
        browser.get(begun.sandbox.pages_url, timeout=120)
        page = browser.get(row["link"], timeout=120)
    assert page.status_code == 200
    assert "150" in page.text
    assert page.url.endswith("#age")


def test_no_record_id_and_no_value_is_in_dagster_home(
    running_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [*RECORDS, {"id": "6", "age": CANARY, "sex": CANARY, "visit_complete": "2"}]
    token = running_sandbox.add_project(exports={"metadata": METADATA}, records=records)
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        study = Study(running_sandbox, token, instance, tmp_path / "warehouse.duckdb")
        shown = QuerySettings(show_values=True)
        assert study.run(define(study, queries=shown)).success
        assert CANARY in study.table("study_queries.open")["value"].to_pylist()
        assert (CANARY, "age") in open_list(study)
    files = [file for file in home.glob("**/*") if file.is_file()]
    assert files
    assert not [file for file in files if CANARY.encode() in file.read_bytes()]


def test_each_group_gets_a_workbook_that_confirms_queries_when_it_is_returned(
    study: Study, tmp_path: Path
) -> None:
    sent, returned = tmp_path / "sent", tmp_path / "returned"
    returned.mkdir()
    settings = QuerySettings(workbook=str(sent), confirmations=str(returned), show_values=True)
    early = CheckRules(own_rules=[QualityRule("Never", "[age] = 'none'")])
    assert study.run(define(study, queries=settings, checks=early)).success
    explained = load_workbook(sent / "study_queries_north.xlsx")["Rules"].values
    assert {row[:3] for row in explained} >= {
        ("within_range", "D", DESCRIPTIONS["within_range"].expects),
        ("Never", "", "In no row is it true that [age] = 'none'"),
    }

    files = {path.name: read_workbook(path) for path in sent.iterdir()}
    assert {
        name: {(row["record"], row["field"]) for row in rows} for name, rows in files.items()
    } == {
        "study_queries_north.xlsx": {("1", "age"), ("2", "hb")},
        "study_queries_south.xlsx": {("3", "age"), (CANARY, "age"), (CANARY, "hb")},
        "study_queries_records_without_access_group.xlsx": set(),
    }

    book = load_workbook(sent / "study_queries_north.xlsx")
    sheet = book["Queries"]
    names = [cell.value for cell in sheet[1]]
    for row in (2, 3):
        sheet.cell(row, names.index("who") + 1).value = "Ada"
        sheet.cell(row, names.index("why") + 1).value = "as in the source"
    sheet.cell(3, names.index("record") + 1).value = "999"
    book.save(returned / "north.xlsx")
    result = study.run(define(study, queries=settings))
    assert result.success
    confirmed = {key for key, steps in life(study).items() if steps[-1] == "confirmed"}
    assert len(confirmed) == 1
    assert confirmed < {("1", "age"), ("2", "hb")}
    refused = entry(materializations(result)["study/queries/open"], "redcap/refused_confirmations")
    assert refused == {"north.xlsx 3": "its query id belongs to another record"}
    assert len(read_workbook(sent / "study_queries_north.xlsx")) == 1


def test_a_workbook_that_is_filled_in_where_it_is_loses_nothing(
    study: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sent, returned = tmp_path / "sent", tmp_path / "returned"  # which the run makes
    definitions = define(
        study, queries=QuerySettings(workbook=str(sent), confirmations=str(returned))
    )
    assert study.run(definitions).success
    path = sent / "study_queries_south.xlsx"
    rules = {row["rule"]: row["REDCap's letter"] for row in read_workbook(path, "Rules")}
    assert rules["choices_known"] == "G"  # although it found nothing

    book = load_workbook(path)
    names = [cell.value for cell in book["Queries"][1]]
    for row, cells in {2: ("Ada", "so it is"), 3: ("Ada", None), 4: (None, "to do")}.items():
        for name, value in zip(("who", "why"), cells, strict=True):
            book["Queries"].cell(row, names.index(name) + 1).value = value
    book.save(path)
    assert study.run(definitions).success
    kept = [(row["who"], row["why"]) for row in read_workbook(path)]
    assert kept == [("Ada", "so it is"), ("Ada", "None"), ("None", "to do")]

    copyfile(path, returned / "south.xlsx")
    (returned / "~$south.xls").write_bytes(b"open in Excel")
    (returned / "west.xlsx").mkdir()
    (returned / "south.zip").touch()
    result = study.run(definitions)
    assert result.success
    warnings = capfd.readouterr().err
    assert "Not read in the folder of the confirmations: south.zip, west.xlsx." in warnings
    made = materializations(result)["study/queries/open"]
    refused = entry(made, "redcap/refused_confirmations")
    assert refused.keys() == {"south.xlsx 3", "south.xlsx 4"}
    assert [(row["who"], row["why"]) for row in read_workbook(path)] == kept[1:]

    (returned / "north.xls").touch()
    failed = study.run(definitions)
    assert "north.xls is neither XLSX nor CSV" in str(study_failure(failed))


def test_a_workbook_that_cannot_be_written_stops_nothing_else(study: Study, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = QuerySettings(workbook=str(tmp_path / "file"))
    result = study.run(define(study, queries=settings))
    assert not result.success
    assert open_list(study) == FIRST
    assert "Workbooks of queries cannot be written" in str(study_failure(result))


def study_failure(result: dg.ExecuteInProcessResult) -> object:
    """Return the message of the step that failed."""
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    return failed.step_failure_data.error
