"""An analysis: statistics and a model, as assets downstream of a clean table.

Each function takes the clean table as a DataFrame and returns another DataFrame. Dagster stores it
in the same warehouse, without REDCap, and makes it again when the clean table changed. Each clean
table with the outcome gets these assets, that of the made-up study or of your own project.
"""

from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from example_project import pictures
from redcap_dagster import on_change

STUDIES = ("cervical", "own_study")
"""Folders of the studies that may have the outcome."""
OUTCOME = "biopsy"
# The other tests have the same aim as the biopsy: they are results, not risk factors.
OTHER_TESTS = ["hinselmann", "schiller", "citology"]
FEWEST_PAIRS = 30


def summary_statistics(risk_factors: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """One row per measure: count, mean, standard deviation, quartiles, minimum and maximum."""
    numbers = measures(risk_factors)
    table = numbers.describe().T.rename_axis("measure").reset_index()
    table = table.rename(columns={"std": "sd", "25%": "q1", "50%": "median", "75%": "q3"})
    table["count"] = table["count"].astype("int64")
    return _result(table, distributions=pictures.distributions(numbers))


def correlations(risk_factors: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """One row per pair of measures that enough people answered: Spearman's rank correlation."""
    numbers = measures(risk_factors)
    matrix = numbers.corr(method="spearman", min_periods=FEWEST_PAIRS)
    first, second = np.triu_indices(len(matrix), k=1)
    names = matrix.columns.to_numpy()
    table = pd.DataFrame(
        {
            "measure": names[first],
            "other_measure": names[second],
            "correlation": matrix.to_numpy()[first, second],
        }
    )
    return _result(table.dropna(ignore_index=True), matrix=pictures.correlations(numbers, matrix))


def missingness(risk_factors: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """One row per question: how many people did not answer it."""
    missing = risk_factors[_questions(risk_factors)].isna().sum()
    table = pd.DataFrame(
        {
            "field": missing.index.astype(str),
            "missing": missing.to_numpy(dtype="int64"),
            "share": missing.to_numpy(dtype="float64") / max(len(risk_factors), 1),
        }
    )
    return _result(table, shares=pictures.missingness(table))


def biopsy_model(risk_factors: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """One row per risk factor: its odds ratio in a logistic regression of the biopsy result.

    The odds ratios are for one standard deviation, so that they can be compared. The AUC is the
    mean of a cross-validation with five folds.
    """
    numbers = measures(risk_factors).dropna(subset=[OUTCOME])
    factors = numbers.drop(columns=[OUTCOME, *OTHER_TESTS])
    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=0.1),
    )
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
    auc = cross_val_score(model, factors, numbers[OUTCOME], cv=folds, scoring="roc_auc")
    coefficients = model.fit(factors, numbers[OUTCOME])[-1].coef_[0]
    table = pd.DataFrame(
        {
            "factor": factors.columns.astype(str),
            "coefficient": coefficients,
            "odds_ratio": np.exp(coefficients),
        }
    )
    return _result(
        table.sort_values("coefficient", ascending=False, key=abs, ignore_index=True),
        auc=float(auc.mean()),
        auc_sd=float(auc.std()),
        people=len(numbers),
        positive=int(numbers[OUTCOME].sum()),
    )


@dg.definitions
def defs(context: dg.ComponentLoadContext) -> dg.Definitions:
    """Return the assets of each clean table that has the outcome and the other tests."""
    specs = [
        spec for study in STUDIES for spec in context.build_defs(study).resolve_all_asset_specs()
    ]
    return dg.Definitions(
        assets=[asset for spec in specs if _has_tests(spec) for asset in build_assets(spec)]
    )


def build_assets(clean: dg.AssetSpec) -> list[dg.AssetsDefinition]:
    """Return the assets downstream of a clean table, stored where it is stored."""
    name, *_ = clean.key.path
    asset = partial(
        dg.asset,
        ins={"risk_factors": dg.AssetIn(clean.key)},
        key_prefix=[name, "analysis"],
        group_name="analysis",
        io_manager_key=clean.metadata["dagster/io_manager_key"],
        automation_condition=on_change(),
    )
    return [
        asset(kinds={"pandas"})(summary_statistics),
        asset(kinds={"pandas"})(correlations),
        asset(kinds={"pandas"})(missingness),
        asset(kinds={"pandas", "scikitlearn"})(biopsy_model),
    ]


def _has_tests(spec: dg.AssetSpec) -> bool:
    schema = spec.metadata.get("dagster/column_schema")
    names = {column.name for column in schema.columns} if schema else set()
    return {OUTCOME, *OTHER_TESTS} <= names


def measures(risk_factors: pd.DataFrame) -> pd.DataFrame:
    """Return the numeric columns of the clean table as plain floats, missing values as NaN.

    The record ID is not a measure, even if it is a number.
    """
    numbers = risk_factors.drop(columns="record_id", errors="ignore").select_dtypes("number")
    return pd.DataFrame(
        numbers.to_numpy(dtype="float64", na_value=np.nan), columns=numbers.columns.astype(str)
    )


def _questions(table: pd.DataFrame) -> list[str]:
    """Return the columns without the reasons for missing values that ``missing_reasons`` adds."""
    names = [str(name) for name in table.columns]
    reasons = {f"{name}_missing" for name in names}
    return [name for name in names if name not in reasons]


def _result(table: pd.DataFrame, **metadata: Any) -> dg.MaterializeResult[pd.DataFrame]:
    """Return a table to store, with its number of rows and its columns as metadata."""
    columns = [dg.TableColumn(str(name), str(dtype)) for name, dtype in table.dtypes.items()]
    return dg.MaterializeResult(
        value=table,
        metadata={
            "dagster/row_count": len(table),
            "dagster/column_schema": dg.TableSchema(columns),
            **metadata,
        },
    )
