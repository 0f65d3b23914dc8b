"""Snippets of calls of the client, in the client's own words."""

import ast
import os
import subprocess
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from redcap_dagster.api import REDCapClient, REDCapFile
from redcap_dagster.api.snippets import METHODS
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field

STUDY: dict[str, Any] = {
    "exports": {"metadata": [field("record_id"), field("age"), field("scan", type="file")]},
    "records": [{"record_id": "1", "age": "40"}, {"record_id": "2", "age": "50"}],
}
CLIENT = REDCapClient("https://redcap.example.edu/api/", "0" * 32)


def request_of(call: str, **arguments: Any) -> dict[str, str]:
    """Return the parameters in a snippet with `requests`, without the token."""
    tree = ast.parse(CLIENT.snippet(call, **arguments))
    [data] = [node for node in ast.walk(tree) if isinstance(node, ast.Dict) and len(node.keys) > 1]
    pairs = zip(data.keys, data.values, strict=True)
    return {ast.literal_eval(name): ast.literal_eval(value) for name, value in pairs
            if name and isinstance(value, ast.Constant)}  # fmt: skip


def test_the_snippet_gets_what_the_call_returns(
    sandbox: Sandbox, token: str, redcap: REDCapClient
) -> None:
    arguments: dict[str, Any] = {"fields": ["record_id", "age"], "filter_logic": "[age] > '40'"}
    before = len(sandbox.requests)
    code = redcap.snippet("export_records", **arguments, language="curl", token_variable="KEY")
    assert len(sandbox.requests) == before
    assert token not in code
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, env={**os.environ, "KEY": token}
    )
    assert done.stdout == redcap.export_records(**arguments).to_csv(index=False)


def test_values_become_those_of_the_request() -> None:
    begin = datetime.fromisoformat("2024-01-31 10:20:30")
    records = request_of(
        "export_records", records=[1, "b"], date_range_begin=begin, export_survey_fields=True
    )
    assert records["records[0]"] == "1"
    assert records["dateRangeBegin"] == "2024-01-31 10:20:30"
    assert records["exportSurveyFields"] == "true"
    assert request_of("log.export", begin_time=begin, user=None)["beginTime"] == "2024-01-31 10:20"
    assert request_of("records.export_eav")["type"] == "eav"
    assert request_of("design.import_arms", data=[{"arm_num": 1}])["data"] == '[{"arm_num": 1}]'
    frame = pd.DataFrame({"record_id": ["1"], "age": ["40"]})
    assert request_of("records.import_", data=frame)["data"] == "record_id,age\n1,40\n"
    title = {"project_title": "New"}
    assert request_of("projects.import_settings", settings=title)["data"] == (
        '[{"project_title": "New"}]'
    )
    file = REDCapFile("a.txt", "text/plain", b"secret")
    code = CLIENT.snippet("files.import_", file=file, record="1", field="scan")
    assert 'open("a.txt", "rb")' in code
    assert "secret" not in code


def test_every_call_has_a_snippet() -> None:
    examples: dict[str, Any] = {"names": ["a"], "number": 1, "data": "a,b\n1,2\n", "flag": True}
    for method in METHODS:
        for call in method.calls:
            required = {
                each.argument: examples.get(each.kind, "a")
                for each in method.parameters
                if each.required and each.in_client
            }
            code = CLIENT.snippet(call.name, **required)
            assert f'"content": "{method.content}"' in code


@pytest.mark.parametrize(
    ("call", "arguments", "error", "text"),
    [
        ("export_record", {}, TypeError, "Did you mean 'export_records'?"),
        ("export_records", {"form": ["a"]}, TypeError, "A snippet of export_records has no option"),
        ("export_records", {"language": "perl"}, ValueError, "language: must be one of 'requests'"),
        ("export_records", {"forms": "a"}, TypeError, "forms: must be a list of forms, not one"),
        ("export_records", {"raw_or_label": "x"}, ValueError, "rawOrLabel: must be one of 'raw'"),
        ("records.delete", {}, TypeError, "A snippet of records.delete needs records"),
        ("records.import_", {"dry_run": True}, ValueError, "dry_run: the client itself"),
        ("records.delete", {"records": ["1"], "language": "yaml"}, ValueError, "does not have the"),
        ("log.export", {"begin_time": datetime.now(UTC)}, ValueError, "has a time zone"),
        ("export_version", {"token_variable": "a;b"}, ValueError, "must be the name of"),
    ],
)
def test_what_is_refused(
    call: str, arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        CLIENT.snippet(call, **arguments)
