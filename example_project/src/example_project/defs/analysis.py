"""What an analyst does next: statistics and a model, as assets downstream of the clean table.

These know nothing of REDCap: each takes the table as a DataFrame and returns another, which the
warehouse keeps beside it. They are made anew whenever the clean table has changed.
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

CLEAN = dg.AssetKey(["cervical", "clean", "risk_factors"])
analysis = partial(
    dg.asset,
    ins={"risk_factors": dg.AssetIn(CLEAN)},
    key_prefix=["cervical", "analysis"],
    group_name="analysis",
    automation_condition=on_change(),
)

OUTCOME = "biopsy"
# The other tests look for the same thing as the biopsy: results, not risk factors.
OTHER_TESTS = ["hinselmann", "schiller", "citology"]
FEWEST_PAIRS = 30


@analysis(kinds={"pandas"})
def summary_statistics(risk_factors: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """Count, mean, standard deviation, quartiles, minimum and maximum of each measure."""
    numbers = measures(risk_factors)
    table = numbers.describe().T.rename_axis("measure").reset_index()
    table = table.rename(columns={"std": "sd", "25%": "q1", "50%": "median", "75%": "q3"})
    table["count"] = table["count"].astype("int64")
    return _result(table, distributions=pictures.distributions(numbers))


@analysis(kinds={"pandas"})
def correlations(risk_factors: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """Spearman's rank correlation of each pair of measures that enough people answered both of."""
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


@analysis(kinds={"pandas"})
def missingness(risk_factors: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """How many people did not answer each question."""
    missing = risk_factors.isna().sum()
    table = pd.DataFrame(
        {
            "field": missing.index.astype(str),
            "missing": missing.to_numpy(dtype="int64"),
            "share": missing.to_numpy(dtype="float64") / max(len(risk_factors), 1),
        }
    )
    return _result(table, shares=pictures.missingness(table))


@analysis(kinds={"pandas", "scikitlearn"})
def biopsy_model(risk_factors: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """Logistic regression of the biopsy result on the risk factors: odds ratio by factor.

    The odds ratios are for one standard deviation more, so that they can be compared. The AUC is
    of people whom the model had not seen, in each of five parts of the study.
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
    """Define these, unless the project in REDCap is one of your own, which lacks the form."""
    if CLEAN not in context.build_defs("cervical").resolve_all_asset_keys():
        return dg.Definitions()
    return dg.Definitions(assets=[summary_statistics, correlations, missingness, biopsy_model])


def measures(risk_factors: pd.DataFrame) -> pd.DataFrame:
    """The numeric columns of the clean table as plain floats, missing as NaN.

    The record id can be a number too, and is no measure.
    """
    numbers = risk_factors.drop(columns="record_id", errors="ignore").select_dtypes("number")
    return pd.DataFrame(
        numbers.to_numpy(dtype="float64", na_value=np.nan), columns=numbers.columns.astype(str)
    )


def _result(table: pd.DataFrame, **metadata: Any) -> dg.MaterializeResult[pd.DataFrame]:
    """Store a table, and tell Dagster its size and columns besides."""
    columns = [dg.TableColumn(str(name), str(dtype)) for name, dtype in table.dtypes.items()]
    return dg.MaterializeResult(
        value=table,
        metadata={
            "dagster/row_count": len(table),
            "dagster/column_schema": dg.TableSchema(columns),
            **metadata,
        },
    )
