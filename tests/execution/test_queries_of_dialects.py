"""The list of queries does not depend on how a server differs from others, nor on labels."""

from pathlib import Path
from typing import Any

import pytest

from redcap_dagster import QuerySettings
from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox.synthesis import KINDS, MadeUpStudy, make_up_study
from redcap_dagster.tables import CleaningRules
from tests.dagster_runs import studying
from tests.dictionary import field
from tests.planted_rules import QUERY_RULES, count_found, count_planted

METADATA = [
    field("id"),
    field("code", required_field="y"),
    field("seen", validation="date_dmy", maximum="2024-01-01", required_field="y"),
    field("due", validation="date_dmy", field_annotation="@CALCDATE([seen], 7, 'd')"),
    field("smokes", type="yesno", required_field="y"),
    field("packs", validation="integer", minimum="1", maximum="9",
          branching_logic="[smokes] = '1'", required_field="y"),
    field("total", type="calc", choices="[packs] * 2"),
    field("grade", type="dropdown", choices="1, Ünder | 2, 1 | 3, Über",
          branching_logic="[total] > 4"),
    field("symptoms", type="checkbox", choices="1, A | 2, B | 3, C | 9, None",
          field_annotation="@NONEOFTHEABOVE='9' @MAXCHECKED=2"),
    field("dose", "drug", validation="number_comma_decimal", maximum="5", required_field="y"),
]  # fmt: skip


@pytest.fixture(scope="module")
def made() -> MadeUpStudy:
    project = REDCapProject.from_exports(
        metadata=METADATA,
        info={"secondary_unique_field": "code", "missing_data_codes": "UNK, Unknown"},
        repeating=[{"form_name": "drug"}],
        header=["redcap_data_access_group"],
    )
    study = make_up_study(project, records=60, errors=0.2)
    assert {error.kind for error in study.errors} == set(KINDS)
    return study


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        ("default", {"cleaning": CleaningRules(labels="codes")}),
        ("older", {"cleaning": CleaningRules(labels="both")}),
        ("foreign", {"cleaning": CleaningRules(checkboxes="lists")}),
        ("any-5", {}),
    ],
)
def test_what_was_planted_is_found(
    tmp_path: Path, made: MadeUpStudy, dialect: str, options: dict[str, Any]
) -> None:
    with studying(tmp_path, study=made, dialect=dialect) as study:
        queries = QuerySettings(rules=QUERY_RULES)
        assert study.run(study.definitions(queries=queries, **options)).success
        assert count_found(study) == count_planted(made)
