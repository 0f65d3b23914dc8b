"""What a clean column is made of: of its sources, and of nothing else."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables import (
    CleaningRules,
    clean,
    column_sources,
    list_clean_types,
    split_by_instrument,
)
from tests.dictionary import field
from tests.tables.test_properties import Study, studies

RULES = st.builds(
    CleaningRules,
    labels=st.sampled_from(["labels", "codes", "both"]),
    checkboxes=st.sampled_from(["columns", "lists"]),
    missing_reasons=st.booleans(),
)


@given(studies(), RULES)
def test_types_are_known_before_there_are_rows(study: Study, rules: CleaningRules) -> None:
    for form, records in split_by_instrument(study.export, study.project).items():
        cleaned = clean(records[:0], form, study.project, rules).table
        types = list_clean_types(form, study.project, rules)
        assert list(types.items()) == [(one.name, one.type) for one in cleaned.schema]


@pytest.mark.slow
@settings(max_examples=50)
@given(studies(), RULES)
def test_a_column_depends_on_its_sources_alone(study: Study, rules: CleaningRules) -> None:
    for form, records in split_by_instrument(study.export, study.project).items():
        cleaned = clean(records, form, study.project, rules).table
        sources = column_sources(form, study.project, rules)
        assert list(sources) == cleaned.column_names
        keys = study.project.key_columns(form)
        for name, made_of in sources.items():
            kept = {*keys, *made_of}
            blanked = pa.table(
                {
                    other: records[other] if other in kept else pa.nulls(len(records), pa.string())
                    for other in records.column_names
                }
            )
            assert clean(blanked, form, study.project, rules).table[name] == cleaned[name]


def test_every_source_matters() -> None:
    """Of a box, a list, codes and reasons: golden."""
    project = REDCapProject.from_exports(
        metadata=[
            field("id", "a"),
            field("sex", "a", type="radio", choices="0, F | 1, M"),
            field("race", "a", type="checkbox", choices="1, A | 2, B"),
        ],
        info={"missing_data_codes": "UNK, Unknown"},
    )
    boxes = ("race___1", "race___2", "race___unk")
    assert column_sources("a", project, CleaningRules(labels="both", missing_reasons=True)) == {
        "id": ("id",),
        "sex": ("sex",),
        "sex_code": ("sex",),
        "sex_missing": ("sex",),
        "race___1": ("race___1", "race___unk"),
        "race___2": ("race___2", "race___unk"),
        "race___unk": ("race___unk",),
        "race_missing": boxes,
        "a_complete": ("a_complete",),
        "a_complete_code": ("a_complete",),
    }
    lists = column_sources("a", project, CleaningRules(checkboxes="lists"))
    assert lists["race"] == boxes
