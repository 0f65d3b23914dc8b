"""Reports of a project."""

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import CLASSIC, Ask

# -- reports --------------------------------------------------------------------------------------


def test_a_report(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    number = str(sandbox.add_report(classic, ["race"], "[race(-99)] = '1'"))
    labelled = {"report_id": number, "rawOrLabel": "label", "csvDelimiter": ";"}
    assert ask(classic, content="report", **labelled).text.split("\n")[1:] == [
        "10;;;Unchecked;Checked",
        "",
    ]
    other = sandbox.add_project(exports=CLASSIC)
    refused = ask(other, content="report", report_id=number)
    assert refused.status_code == 403
    assert refused.text == (
        f"ERROR: The API request cannot complete because report_id={number} does not belong to "
        "this project."
    )
    with pytest.raises(ValueError, match="does not have the fields nothing"):
        sandbox.add_report(classic, ["nothing"])
