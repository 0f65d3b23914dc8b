"""The walk in a notebook: what its cells show, and that it holds nothing when it is committed."""

from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest

from example_project.studies import cervical
from tests.example.notebooks import NOTEBOOK, execute

FOUND = {
    "raw": "[*raw.shape, marked, len(asked)]",
    "types": "table.dtypes.astype(str).to_dict()",
    "missing": "missing.to_dict()",
    "summary": "summary.to_dict('index')",
    "correlations": "correlations.to_dict()",
    "with_outcome": "with_outcome.to_dict()",
    "auc": "[float(auc.mean()), len(auc)]",
    "odds_ratios": "odds_ratios.to_dict()",
    "stopped": "sandbox._store is None",
}


def outputs(notebook: Any) -> list[Any]:
    return [each for cell in notebook.cells for each in cell.get("outputs", ())]


@pytest.mark.slow
def test_the_walk_goes_from_question_marks_to_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDCAP_API_URL", "REDCAP_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    notebook, found = execute(monkeypatch, FOUND)

    made = pd.DataFrame(cervical.records()).replace("?", None)
    numbers = made.drop(columns=["record_id", "risk_factors_complete"]).apply(pd.to_numeric)
    assert found["raw"] == [858, 38, 3622, 26]
    # What broke, and what the clean table made of it.
    said = "".join(each.text for each in outputs(notebook) if each.output_type == "stream")
    assert "HTTP status: 200" in said
    assert "\nTypeError\n" in said
    assert "3,622 question marks became null" in said
    assert found["types"]["n_pregnancies"] == "Int64"
    assert found["types"]["n_smoke_years"] == "float64"
    assert found["types"]["risk_factors_complete"] == "category"

    assert found["missing"] == made.isna().sum().to_dict()
    assert set(found["summary"]) == set(numbers)
    for name, column in found["summary"].items():
        assert column["count"] == numbers[name].count()
        assert column["mean"] == pytest.approx(numbers[name].mean())
        assert column["50%"] == numbers[name].median()
    expected = numbers["age"].corr(numbers["n_pregnancies"], method="spearman")
    assert found["correlations"]["age"]["n_pregnancies"] == pytest.approx(expected)
    assert max(found["with_outcome"], key=found["with_outcome"].__getitem__) == "schiller"
    assert not any(np.isnan(list(found["with_outcome"].values())))
    auc, folds = found["auc"]
    assert 0.65 < auc < 0.9
    assert folds == 5
    odds = pd.Series(found["odds_ratios"]).sort_values(ascending=False)
    assert {"age", "n_hormonal_contra_years", "dx_hpv"} <= set(odds.index[:6])
    assert not {"biopsy", "schiller", "hinselmann", "citology"} & set(odds.index)
    pictures = [
        each.data["image/png"] for each in outputs(notebook) if "image/png" in each.get("data", {})
    ]
    assert len(pictures) == 3
    assert min(map(len, pictures)) > 10_000
    assert found["stopped"]


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    assert outputs(notebook) == []
    assert {cell.get("execution_count") for cell in notebook.cells} == {None}
