"""The code that tells how to request a table without Dagster, in real runs."""

import contextlib
import io
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from redcap_dagster.catalog.how_to_request import HOW_TO_REQUEST
from tests.dagster_runs import Study, entry, materializations, studying
from tests.dictionary import field

STUDY: dict[str, Any] = {
    "exports": {
        "metadata": [
            field("id", "base"),
            field("age", "base"),
            field("note"),
            field("dose", "drug_doses_of_all_kinds"),
        ],
        "arm": [{"arm_num": 1, "name": "One"}],
        "event": [{"event_name": "First", "arm_num": 1, "unique_event_name": "first_arm_1"}],
        "formEventMapping": [
            {"arm_num": 1, "unique_event_name": "first_arm_1", "form": form}
            for form in ("base", "visit", "drug_doses_of_all_kinds")
        ],
        "repeatingFormsEvents": [
            {"event_name": "first_arm_1", "form_name": "drug_doses_of_all_kinds"}
        ],
    },
    "records": [
        {
            "id": "A-4711",
            "redcap_event_name": "first_arm_1",
            "redcap_data_access_group": "north",
            "base_timestamp": "2024-01-31 10:20:30",
            "age": "40",
            "note": "well",
            "visit_complete": "2",
        }
    ],
}
LANGUAGES = ["redcap_dagster", "requests", "httr", "curl"]


def read_code(materialization: dg.AssetMaterialization) -> dict[str, str]:
    markdown = entry(materialization, HOW_TO_REQUEST)
    blocks = re.findall(r"\((\w+)\):\n\n```\w+\n(.*?)```|^(curl):\n\n```sh\n(.*?)```",
                        markdown, re.S | re.M)  # fmt: skip
    return {one or other: code or shell for one, code, other, shell in blocks}


def execute(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, names)  # noqa: S102
    return names


@pytest.mark.slow
def test_every_table_has_code_that_requests_it(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDCAP_API_TOKEN", study.token)
    made = materializations(study.run())
    assert {key.split("/")[1] for key in made} == {"metadata", "records", "clean"}
    for key, materialization in made.items():
        text = entry(materialization, HOW_TO_REQUEST)
        assert len(text) < 2500
        assert study.token not in text
        assert "A-4711" not in text
        code = read_code(materialization)
        assert list(code) == LANGUAGES
        result = execute(code["redcap_dagster"])["result"]
        names = execute(code["requests"])
        body = names["response"].text
        curl = subprocess.run(["bash", "-c", code["curl"]], capture_output=True, text=True,
                              env={**os.environ, "NO_PROXY": "127.0.0.1"})  # fmt: skip
        assert curl.stdout == body
        if key.startswith("study/metadata"):
            rows = [result] if isinstance(result, dict) else result
            assert pd.read_csv(io.StringIO(body), dtype=str).shape[0] == len(rows), key
            continue
        # What the table holds can be found in the records, and no more is requested.
        assert names["records"].columns.tolist() == result.columns.tolist()
        schema = entry(materialization, "dagster/column_schema")
        if key.startswith("study/records"):
            stored = {each.name for each in schema.columns} - {"redcap_arm"}
            assert stored <= {*result.columns}


def test_access_groups_are_requested_only_of_a_server_that_gives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with studying(tmp_path, **STUDY, dialect="newer", rights={"data_access_groups": 0}) as study:
        monkeypatch.setenv("REDCAP_API_TOKEN", study.token)
        made = materializations(study.run(select=["study/records/_census"]))
        (listed,) = made.values()
        assert execute(read_code(listed)["requests"])["response"].status_code == 200


def test_a_clean_table_of_stored_records_has_the_code_of_the_records(study: Study) -> None:
    made = materializations(study.run())
    again = materializations(study.run(select=["study/clean/visit"]))
    code = entry(again["study/clean/visit"], HOW_TO_REQUEST)
    assert code == entry(made["study/records/visit"], HOW_TO_REQUEST)
    assert '"forms[0]": "visit"' in code
    assert '"exportSurveyFields": "true"' in code
