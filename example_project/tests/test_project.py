import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from example_project import study
from redcap_dagster.sandbox import Sandbox

PROJECT = Path(__file__).parents[1]
VISIT = {"metadata": [{"field_name": "record_id", "form_name": "visit", "field_type": "text"}]}
ANALYSIS = {"summary_statistics", "correlations", "missingness", "biopsy_model"}


def assets_of(exports: Any, tmp_path: Path) -> set[str]:
    """Give the assets that the project has on a REDCap, as ``dg list defs`` tells them."""
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports=exports)
        listed = subprocess.run(
            [Path(sys.executable).with_name("dg"), "list", "defs", "--json"],
            cwd=PROJECT,
            env={
                **os.environ,
                "DAGSTER_HOME": str(tmp_path),
                "DAGSTER_DISABLE_TELEMETRY": "1",
                "REDCAP_API_URL": sandbox.url,
                "REDCAP_API_TOKEN": token,
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert listed.returncode == 0, listed.stderr
    found = json.loads(listed.stdout)
    assert [schedule["name"] for schedule in found["schedules"]] == ["daily"]
    return {asset["asset_key"] for asset in found["assets"]}


def test_the_study_is_analysed(tmp_path: Path) -> None:
    assert assets_of(study.exports(), tmp_path) >= {
        "cervical/clean/risk_factors",
        *(f"cervical/analysis/{name}" for name in ANALYSIS),
    }


def test_your_own_project_loads_without_the_analysis(tmp_path: Path) -> None:
    found = assets_of(VISIT, tmp_path)
    assert "cervical/clean/visit" in found
    assert not {key for key in found if "analysis" in key}


@pytest.mark.parametrize(
    ("token", "complaint"), [("", "Only REDCAP_API_URL is set"), ("0" * 32, "the token")]
)
def test_a_wrong_connection_is_refused_at_once(token: str, complaint: str) -> None:
    with Sandbox() as sandbox:
        ended = subprocess.run(
            [sys.executable, "-m", "example_project.ui"],
            env={**os.environ, "REDCAP_API_URL": sandbox.url, "REDCAP_API_TOKEN": token},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr
