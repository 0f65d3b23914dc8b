"""The notebook of the example with the project that this software comes from."""

import csv
from pathlib import Path

import pytest

from redcap_dagster.sandbox import Sandbox
from tests.example.notebooks import execute

FOUND = {
    "replaced": "sum(cleaned.replaced.values())",
    "means": "summary['mean'].to_dict()",
    "auc": "float(auc.mean())",
}


@pytest.mark.slow
@pytest.mark.parametrize("redcap_dialect", ["default"])
def test_the_walk_with_the_published_data(
    sandbox: Sandbox, fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fixtures / "cervical"
    token = sandbox.add_project(folder / "cervical_cancer_factors.REDCap.xml")
    monkeypatch.setenv("REDCAP_API_URL", sandbox.url)
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    _, found = execute(monkeypatch, FOUND, INSTRUMENT="form_1")

    with (folder / "risk_factors_cervical_cancer.csv").open(newline="") as file:
        ages = [int(row[0]) for row in list(csv.reader(file))[1:]]
    assert found["replaced"] == 3622
    assert found["means"]["age"] == pytest.approx(sum(ages) / 858)
    assert len(found["means"]) == 36
    assert 0.5 < found["auc"] < 0.9
