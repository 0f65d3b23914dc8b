"""The dictionary of a project changed after definitions were loaded."""

import dagster as dg
import pytest

from tests.checks.conftest import METADATA, RECORDS
from tests.dagster_runs import (
    TOKEN_VARIABLE,
    Study,
    check_results,
)


@pytest.mark.parametrize(
    ("changed", "severity", "text"),
    [
        ({"field_label": "Sex at birth"}, "WARN", "Changed since definitions were loaded: sex."),
        (
            {"select_choices_or_calculations": "0, Female | 1, Male | 2, Other"},
            "ERROR",
            "Fields in use whose type or choices changed: sex.",
        ),
        ({"field_type": "dropdown"}, "ERROR", "Fields in use whose type or choices changed: sex."),
    ],
)
def test_a_dictionary_that_drifted(
    study: Study, changed: dict[str, str], severity: str, text: str
) -> None:
    fields = "study/metadata/fields"
    definitions = study.definitions()
    edited = [METADATA[0], {**METADATA[1], **changed}, *METADATA[2:]]
    token = study.sandbox.add_project(exports={"metadata": edited}, records=RECORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        results = [
            study.run(definitions, select=[fields]),
            study.check(definitions, [(fields, "dictionary_drift")]),
        ]
    for result in results:
        assert result.success
        found = check_results(result)[fields, "dictionary_drift"]
        assert not found.passed
        assert found.severity.value == severity
        assert text in found.description
        assert "dg utils refresh-defs-state" in found.description
        assert "| sex | base | " in found.metadata["redcap/changes"].value


def test_drift_of_a_form_without_assets_is_a_warning(study: Study) -> None:
    definitions = study.definitions(instruments=["visit"])
    edited = [METADATA[0], {**METADATA[1], "field_type": "yesno"}, *METADATA[2:]]
    token = study.sandbox.add_project(exports={"metadata": edited}, records=RECORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, token)
        result = study.run(definitions, select=["study/metadata/fields"])
    (found,) = check_results(result).values()
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
