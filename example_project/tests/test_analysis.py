import base64
import re
from collections.abc import Callable
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from example_project import pictures
from example_project.defs import analysis
from example_project.studies import cervical


@pytest.fixture(scope="module")
def clean() -> pd.DataFrame:
    """The study as the clean layer gives it: Arrow types, missing as null."""
    text = pd.DataFrame(cervical.records()).replace("?", None)
    numbers: pd.DataFrame = text.drop(columns="risk_factors_complete").apply(pd.to_numeric)
    complete = pd.Categorical(["Complete"] * len(text))
    return numbers.astype(pd.ArrowDtype(pa.float64())).assign(risk_factors_complete=complete)


def run(
    function: Callable[[pd.DataFrame], dg.MaterializeResult[pd.DataFrame]], frame: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Give the table that a function makes, and its metadata."""
    result = function(frame)
    metadata = dict(result.metadata or {})
    assert metadata["dagster/row_count"] == len(result.value)
    return result.value, metadata


def test_summary_statistics_are_those_of_the_answers_given(clean: pd.DataFrame) -> None:
    summary = run(analysis.summary_statistics, clean)[0].set_index("measure")
    ages = [int(row["age"]) for row in cervical.records()]
    assert len(summary) == 36
    assert summary.loc["n_pregnancies", "count"] == 858 - 56
    assert summary.loc["age", "mean"] == pytest.approx(np.mean(ages))
    assert summary.loc["age", "sd"] == pytest.approx(np.std(ages, ddof=1))
    assert summary.loc["age", "min"] == min(ages)
    assert summary.loc["age", "median"] == np.median(ages)
    assert summary.loc["age", "max"] == max(ages)


def test_correlations_are_by_rank_and_of_enough_people() -> None:
    rising = np.arange(40.0)
    few = np.where(rising < 29, rising, np.nan)
    frame = pd.DataFrame({"record_id": rising, "a": rising, "b": -(rising**3), "few": few})
    found, _ = run(analysis.correlations, frame)
    assert found.to_numpy().tolist() == [["a", "b", -1.0]]


def test_missingness_counts_every_question(clean: pd.DataFrame) -> None:
    clean = clean.assign(iud_missing="blank", age_missing=None)  # as `missing_reasons` adds
    missing = run(analysis.missingness, clean)[0].set_index("field")
    assert missing["missing"].sum() == 3622
    assert missing.loc["iud", "missing"] == 117
    assert missing.loc["iud", "share"] == 117 / 858
    assert "iud_missing" not in missing.index


def test_the_model_finds_what_the_study_was_made_with(clean: pd.DataFrame) -> None:
    table, metadata = run(analysis.biopsy_model, clean)
    odds = table.set_index("factor")["odds_ratio"]
    assert 0.65 < metadata["auc"] < 0.9
    assert set(odds.index[:6]) >= {"age", "n_hormonal_contra_years", "dx_hpv"}
    assert not set(analysis.OTHER_TESTS) & set(odds.index)


def png(value: dg.MarkdownMetadataValue) -> bytes:
    found = re.search(r"^!\[[^]]*\]\(data:image/png;base64,([^)]+)\)", value.md_str or "")
    assert found
    return base64.b64decode(found[1])


def test_pictures_are_small(clean: pd.DataFrame) -> None:
    for asset in (analysis.summary_statistics, analysis.correlations, analysis.missingness):
        _, metadata = run(asset, clean)
        (picture,) = (v for v in metadata.values() if isinstance(v, dg.MarkdownMetadataValue))
        assert png(picture).startswith(b"\x89PNG")
        assert len(picture.md_str or "") < 100_000


@pytest.mark.slow
def test_no_picture_shows_one_person(clean: pd.DataFrame) -> None:
    numbers = analysis.measures(clean)
    oldest = numbers["age"].idxmax()
    older = numbers.copy()
    older.loc[oldest, "age"] = 119
    assert png(pictures.distributions(older)) == png(pictures.distributions(numbers))

    # Four people in a bar of their own, and no one there.
    spread = pd.DataFrame({"x": np.repeat([1.0, 2.0, 3.0, 9.0], [50, 50, 4, 50])})
    nobody = pd.DataFrame({"x": np.repeat([1.0, 2.0, 5.0, 9.0], [50, 50, 4, 50])})
    assert png(pictures.distributions(spread)) == png(pictures.distributions(nobody))

    rare = numbers.assign(rare=np.arange(len(numbers)) < pictures.FEWEST - 1)
    matrix, with_rare = (frame.corr("spearman") for frame in (numbers, rare))
    assert png(pictures.correlations(rare, with_rare)) == png(
        pictures.correlations(numbers, matrix)
    )

    missing, _ = run(analysis.missingness, clean)
    few = pd.DataFrame({"field": ["few"], "missing": [pictures.FEWEST - 1], "share": [0.005]})
    assert png(pictures.missingness(pd.concat([missing, few]))) == png(
        pictures.missingness(missing)
    )
