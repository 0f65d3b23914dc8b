"""The page of the metadata keys has those that real runs record, and no others."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from redcap_dagster import OpSettings, PartitionSettings, REDCapProject, REDCapResource
from redcap_dagster.automation import FOLLOWS_CHANGES
from redcap_dagster.checks import CHECKS
from redcap_dagster.execution.guards.new_columns import ALLOW_NEW_COLUMNS
from redcap_dagster.execution.guards.other_project import ALLOW_OTHER_PROJECT
from redcap_dagster.execution.guards.shrinking import ALLOW_SHRINK
from redcap_dagster.partitions import bucket_keys
from tests.dagster_runs import TOKEN_VARIABLE, Study, studying
from tests.dictionary import field
from tests.docs.code_blocks import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reference" / "metadata.md").read_text()
METADATA = [
    field("id", "base", identifier="y"),
    field("seen", "base", validation="date_ymd", maximum="today"),
    field("score", "base", branching_logic="[nobody] = '1'"),
    field("sex", "base", type="radio", choices="1, Male | 9, Male"),
    field("diagnosis", "base"),
    field("site", "base", validation="integer"),
    field("sample", "base", validation="number"),
    *(field(name, "base", required_field="y") for name in ("consent", "consent_date")),
]
PROJECT = REDCapProject.from_exports(metadata=METADATA)
RECORDS = [
    {"id": str(n), "seen": "soon", "score": "?", "diagnosis": f"345.1{'0' * (n % 2)}"}
    | {"site": "007", "sample": "1234567890123456789", "sex": "9" if n % 2 else "1"}
    | {"base_complete": "2"}
    for n in range(1, 13)
]
Recorded = set[tuple[str, str]]
"""Keys, each with the asset or the check that it is of."""


def documented(section: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each key of a section of the page, with what it is of."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    for key, of in re.findall(r"^\| `(redcap/[\w/]+)` \| ([^|]+) \|", text, re.M):
        yield key, [] if of == "all" else re.findall(r"`([^`]+)`", of)


def on_page(section: str, kinds: set[str]) -> Recorded:
    """Return the keys of a section, each with the kinds of asset, or the checks, that have it."""
    return {
        (key, kind)
        for key, of in documented(section)
        for kind in kinds
        if not of or kind in of or kind.partition("/")[0] in of
    }


def kind_of(key: dg.AssetKey) -> str:
    _, layer, table = key.path
    if layer == "metadata":
        return layer
    if layer in ("queries", "status"):
        return f"{layer}/{table}"
    return f"{layer}/{'_census' if table == '_census' else 'INSTRUMENT'}"


def recorded(entries: Mapping[str, Any], of: str) -> Recorded:
    return {(name_key(key), of) for key in entries if key.startswith("redcap/")}


def name_key(key: str) -> str:
    """Return a key as the page has it: the name of a rule or of a group as a word for both."""
    key = re.sub("^redcap/open_queries/.+", "redcap/open_queries/RULE", key)
    return re.sub("^redcap/open_queries_in/.+", "redcap/open_queries_in/GROUP", key)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[dg.DagsterEvent]:
    """Return the events of runs in which all goes wrong that a check or a note can say."""
    project: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS}
    rights = {"forms_export": {"base": 3}}  # ids are hashed
    folder = tmp_path_factory.mktemp("runs")
    with studying(folder, **project, rights=rights) as study:
        token = dg.EnvVar(TOKEN_VARIABLE)
        in_pieces = REDCapResource(url=study.sandbox.url, token=token, max_cells=20)
        edited = REDCapProject.from_exports(metadata=METADATA[:2])
        options = {"redcap": in_pieces, "op": OpSettings(preview_rows=1)}
        options |= {"queries": True, "status": True}
        events = [*study.run(study.definitions(**options, project=edited)).all_events]
        events += study.run(study.definitions(**options)).all_events
    with studying(folder / "buckets", **project) as study:
        definitions = study.definitions(project=PROJECT, partitions=PartitionSettings(2))
        for bucket in bucket_keys(2):
            events += in_bucket(study, definitions, bucket).all_events
    return events


def in_bucket(study: Study, definitions: dg.Definitions, bucket: str) -> dg.ExecuteInProcessResult:
    assets = dg.AssetSelection.assets(["study", "records", "base"], ["study", "clean", "base"])
    job = dg.define_asset_job("bucket", selection=assets)
    whole = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
    return whole.resolve_job_def("bucket").execute_in_process(
        instance=study.instance, partition_key=bucket, raise_on_error=False
    )


def test_definitions(tmp_path: Path) -> None:
    with studying(tmp_path, exports={"metadata": METADATA}, records=RECORDS) as study:
        definitions = study.definitions(project=PROJECT, queries=True, status=True)
        specs = list(definitions.resolve_all_asset_specs())

    kinds = {kind_of(spec.key) for spec in specs}
    of_records = {"records/_census", "records/INSTRUMENT", "clean/INSTRUMENT"}
    assert kinds == {"metadata", *of_records, "queries/open", "queries/history", "status/forms"}
    found = {pair for spec in specs for pair in recorded(spec.metadata, kind_of(spec.key))}
    assert found == on_page("On asset definitions", kinds)


def test_materializations(runs: list[dg.DagsterEvent]) -> None:
    made = [event.step_materialization_data.materialization for event in runs
            if event.is_step_materialization]  # fmt: skip

    kinds = {kind_of(each.asset_key) for each in made}
    found = {pair for each in made for pair in recorded(each.metadata, kind_of(each.asset_key))}
    assert found == on_page("On materializations", kinds)


def test_check_results(runs: list[dg.DagsterEvent]) -> None:
    results = [event.asset_check_evaluation_data for event in runs
               if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION]  # fmt: skip

    found = {pair for each in results for pair in recorded(each.metadata, each.check_name)}
    expected = on_page("On check results", set(CHECKS))
    assert found <= expected
    assert {key for key, _ in found} == {key for key, _ in expected}
    assert {check for _, check in found} == {
        name for name, check in CHECKS.items() if check.enabled
    }


def test_observations_and_tags(runs: list[dg.DagsterEvent]) -> None:
    seen = [event.asset_observation_data.asset_observation for event in runs
            if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION]  # fmt: skip

    kinds = {kind_of(each.asset_key) for each in seen}
    found = {pair for each in seen for pair in recorded(each.metadata, kind_of(each.asset_key))}
    assert found == on_page("On observations", kinds)
    assert all(
        f"| `{tag}` |" in PAGE
        for tag in (ALLOW_SHRINK, ALLOW_OTHER_PROJECT, ALLOW_NEW_COLUMNS, FOLLOWS_CHANGES)
    )
