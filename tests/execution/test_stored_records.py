"""Clean tables that are made of stored records alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from redcap_dagster import OpSettings, ParquetTableIOManager
from redcap_dagster.partitions import bucket_keys
from tests.checks.conftest import reasons
from tests.dagster_runs import (
    TOKEN_VARIABLE,
    Study,
    check_results,
    entry,
    materializations,
)
from tests.execution.test_buckets import METADATA, RECORDS, definitions, run

CLEAN = ["study/clean/visit"]
VISIT = ["study/records/visit", *CLEAN]


STUDY: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": RECORDS}


def change(study: Study, patch: pytest.MonkeyPatch, metadata: Sequence[dict[str, str]]) -> None:
    """Let the project have another dictionary; the field age, if it has a new name, with data."""
    names = {row["field_name"] for row in metadata}
    age = "age" if "age" in names else "years"
    records = [{"record_id": row["record_id"], age: row["age"]} for row in RECORDS]
    token = study.add_edited(metadata, records)
    patch.setenv(TOKEN_VARIABLE, token)


RENAMED = [METADATA[0], {**METADATA[1], "field_name": "years"}, *METADATA[2:]]


def test_a_field_that_has_a_new_name_is_not_all_null(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = study.definitions()
    assert study.run(defs).success
    change(study, monkeypatch, RENAMED)
    result = study.run(defs, select=CLEAN)
    assert not result.success
    assert "lack columns that the instrument has now: years." in reasons(result)
    assert "together with the clean table" in reasons(result)
    assert study.table("study_clean.visit")["age"].null_count == 0
    checks = [("study/clean/visit", "values_fit_types"), ("study/records/visit", "keys_unique")]
    found = check_results(study.check(defs, checks))
    assert [found[check].passed for check in checks] == [False, True]
    assert study.run(defs, select=VISIT).success
    assert study.table("study_clean.visit")["years"].null_count == 0


def test_what_a_form_no_longer_has_is_left_out(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs = study.definitions()
    assert study.run(defs).success
    change(study, monkeypatch, [METADATA[0], METADATA[1], METADATA[3]])
    assert study.run(defs, select=CLEAN).success
    columns = study.table("study_clean.visit").column_names
    assert columns == ["record_id", "age", "visit_complete"]


def test_what_rights_hide_is_no_change_of_the_form(study: Study) -> None:
    study.sandbox.set_rights(study.token, {"forms_export": {"visit": 0}})
    assert study.run(select=["study/records/drug", "study/records/visit"]).success
    assert study.run(select=CLEAN).success
    assert study.table("study_clean.visit").num_rows == 0


@pytest.mark.parametrize("stored", ["duckdb", "parquet"])
def test_each_bucket_is_as_it_was_stored(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stored: str
) -> None:
    """A table of buckets has a new column as soon as one of them has it."""
    options: dict[str, Any] = {"op": OpSettings(backfill_policy=dg.BackfillPolicy.single_run())}
    if stored == "parquet":
        options["storage"] = ParquetTableIOManager(base_path=str(tmp_path / "tables"))
    defs = definitions(study, **options)
    assert run(study, bucket_keys(4), defs).success
    change(study, monkeypatch, RENAMED)
    assert run(study, ["1-of-4"], defs, VISIT).success
    assert run(study, ["1-of-4"], defs, CLEAN).success
    for buckets in (["2-of-4"], bucket_keys(4)):
        result = run(study, buckets, defs, CLEAN)
        assert not result.success
        assert "lack columns that the instrument has now: years." in reasons(result)


class GuessingIOManager(dg.ConfigurableIOManager):
    """Keeps frames as CSV, which has no types, and lets pandas guess them."""

    folder: str

    def _path(self, context: dg.InputContext | dg.OutputContext) -> Path:
        return Path(self.folder, "-".join(context.asset_key.path) + ".csv")

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        obj.to_csv(self._path(context), index=False)

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        return pd.read_csv(self._path(context))


@pytest.mark.parametrize("redcap_dialect", ["default"])  # Its unsaved forms are blank.
def test_what_an_io_manager_guessed_is_no_text_as_sent(study: Study, tmp_path: Path) -> None:
    defs = study.definitions(storage=GuessingIOManager(folder=str(tmp_path)))
    assert study.run(defs, select=VISIT).success
    result = study.run(defs, select=CLEAN)
    assert not result.success
    assert (
        "types other than text, so that the text that REDCap sent is lost (007 became 7): "
        "record_id (int64), age (int64). Use an IO manager"
    ) in reasons(result)


def test_a_census_alone_tells_when_it_was_taken(study: Study) -> None:
    (census,) = materializations(study.run(select=["study/records/_census"])).values()
    assert entry(census, "redcap/exported_at") > 0
    assert entry(census, "redcap/listed") == len(RECORDS)


def test_a_clean_table_tells_when_and_how_its_records_were_exported(study: Study) -> None:
    made = materializations(study.run())
    names = ["redcap/exported_at", "redcap/request", "redcap/listed", "redcap/consistent"]
    told = {name: entry(made["study/records/visit"], name) for name in names}
    alone = materializations(study.run(select=CLEAN))
    for clean in (made["study/clean/visit"], alone["study/clean/visit"]):
        assert {name: entry(clean, name) for name in names} == told


def test_buckets_that_were_exported_together_tell_so(study: Study) -> None:
    defs = definitions(study, op=OpSettings(backfill_policy=dg.BackfillPolicy.single_run()))
    keys = bucket_keys(4)
    at = entry(
        materializations(run(study, keys, defs))["study/records/visit"], "redcap/exported_at"
    )
    clean = materializations(run(study, keys, defs, CLEAN))["study/clean/visit"]
    assert entry(clean, "redcap/exported_at") == at
    assert run(study, keys[:1], defs, VISIT).success
    clean = materializations(run(study, keys, defs, CLEAN))["study/clean/visit"]
    assert "redcap/exported_at" not in clean.metadata
