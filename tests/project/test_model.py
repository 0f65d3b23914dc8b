"""What the configuration says of keys and columns."""

from typing import Any

import pytest

from redcap_dagster.project import REDCapProject, StructureError
from tests.dictionary import field

METADATA = [
    field("id", "base"),
    field("note", "base", type="descriptive"),
    {
        "field_name": "race",
        "form_name": "visit",
        "field_type": "checkbox",
        "select_choices_or_calculations": "-1, A | b, B",
        "a_column_of_next_year": "kept out",
    },
]
LONGITUDINAL: dict[str, Any] = {
    "events": [
        {"event_name": "Base", "arm_num": "1", "unique_event_name": "base_arm_1"},
        {"event_name": "Visit", "arm_num": 2, "unique_event_name": "visit_arm_2"},
    ],
    "form_event_mapping": [
        {"arm_num": 1, "unique_event_name": "base_arm_1", "form": "base"},
        {"arm_num": 2, "unique_event_name": "visit_arm_2", "form": "visit"},
    ],
}


def test_classic() -> None:
    project = REDCapProject.from_exports(metadata=METADATA)
    assert project.key_columns("visit") == ("id",)
    assert [column.name for column in project.columns("base")] == ["base_complete"]
    assert [column.name for column in project.columns("visit")] == [
        "race____1",
        "race___b",
        "visit_complete",
    ]


def test_keys_follow_the_configuration_not_the_data() -> None:
    project = REDCapProject.from_exports(
        metadata=METADATA, repeating=[{"event_name": "visit_arm_2"}], **LONGITUDINAL
    )
    longitudinal = ("id", "redcap_event_name", "redcap_arm")
    assert project.key_columns("base") == longitudinal
    assert project.key_columns("visit") == (
        *longitudinal,
        "redcap_repeat_instrument",
        "redcap_repeat_instance",
    )


def test_the_server_s_own_column_names_come_first() -> None:
    names = [
        {"original_field_name": "race", "choice_value": "-1", "export_field_name": "race___minus"}
    ]
    project = REDCapProject.from_exports(metadata=METADATA, field_names=names)
    assert project.columns("visit")[0].name == "race___minus"


def test_a_checkbox_has_a_column_for_each_missing_data_code() -> None:
    project = REDCapProject.from_exports(
        metadata=METADATA, info={"missing_data_codes": "NI, No information"}
    )
    assert "race___ni" in [column.name for column in project.columns("visit")]


def test_codes_that_collide_are_named() -> None:
    metadata = [
        METADATA[0],
        {**METADATA[2], "select_choices_or_calculations": "-1, A | _1, B"},
    ]
    project = REDCapProject.from_exports(metadata=metadata)
    assert [column.name for column in project.columns("visit")].count("race____1") == 1
    with pytest.raises(StructureError, match=r"'race'.*'-1' and '_1'.*'race____1'"):
        project.check_options("visit")


@pytest.mark.parametrize(("own", "code"), [("_1", "-1"), ("unk", "UNK"), ("UNK", "UNK")])
def test_an_option_wins_over_a_missing_data_code_of_the_same_column(own: str, code: str) -> None:
    project = REDCapProject.from_exports(
        metadata=[METADATA[0], {**METADATA[2], "select_choices_or_calculations": f"{own}, A"}],
        info={"missing_data_codes": f"{code}, Unknown | NI, No information"},
    )
    project.check_options("visit")
    options = [column.choice.code for column in project.columns("visit") if column.choice]
    assert options == [own, "NI"] == [choice.code for choice in project.options(project.fields[1])]


def test_a_dictionary_with_a_field_twice_is_refused_by_the_name_of_the_field() -> None:
    with pytest.raises(StructureError, match="fields more than once: age"):
        REDCapProject.from_exports(
            metadata=[field("id"), field("age"), field("dose", "drug"), field("age", "drug")]
        )


def test_a_longitudinal_project_needs_its_events() -> None:
    with pytest.raises(StructureError, match="events"):
        REDCapProject.from_exports(metadata=METADATA, info={"is_longitudinal": 1})


def test_json_gives_the_same_project() -> None:
    project = REDCapProject.from_exports(
        metadata=METADATA,
        info={"project_title": "é", "purpose": "0"},
        header=["redcap_data_access_group", "redcap_survey_identifier", "visit_timestamp"],
        version="14.7.3",
        **LONGITUDINAL,
    )
    assert project.surveys == ("visit",)
    assert REDCapProject.from_json(project.to_json()) == project


def test_a_field_that_is_called_like_a_survey_timestamp_makes_no_survey() -> None:
    metadata = [*METADATA, field("visit_timestamp", "base")]
    project = REDCapProject.from_exports(metadata=metadata, header=["id", "visit_timestamp"])
    assert project.surveys == ()
    assert "visit_timestamp" in [column.name for column in project.columns("base")]


def test_a_field_and_a_survey_timestamp_of_one_name_are_told() -> None:
    metadata = [*METADATA, field("visit_timestamp", "base")]
    header = ["id", "visit_timestamp", "visit_timestamp", "race___b"]
    project = REDCapProject.from_exports(metadata=metadata, header=header)
    assert project.surveys == ("visit",)
    for instrument in ("base", "visit"):
        with pytest.raises(StructureError, match="the survey timestamp of the instrument 'visit'"):
            project.check_columns(instrument)


def test_the_record_id_has_a_column_of_its_own() -> None:
    metadata = [field("visit_complete", "base"), field("age")]
    project = REDCapProject.from_exports(metadata=metadata)
    project.check_columns("base")
    with pytest.raises(StructureError, match="the field 'visit_complete' of the instrument 'base'"):
        project.check_columns("visit")


def test_a_newer_format_is_refused() -> None:
    text = REDCapProject.from_exports(metadata=METADATA).to_json()
    with pytest.raises(StructureError, match="newer"):
        REDCapProject.from_json(text.replace('"format": 1', '"format": 99'))


def test_a_row_that_lacks_a_column_is_named() -> None:
    with pytest.raises(StructureError, match=r"Field lacks \['form_name'\]"):
        REDCapProject.from_exports(metadata=[{"field_name": "id"}])


def test_numbers_of_exports_are_numbers() -> None:
    events = [{**LONGITUDINAL["events"][0], "offset_min": "-3", "day_offset": "0.5"}]
    (event,) = REDCapProject.from_exports(metadata=METADATA, events=events).events
    assert (event.arm_num, event.offset_min, event.day_offset) == (1, -3, None)


@pytest.mark.parametrize(
    ("version", "honoured"), [("", False), ("12.5.9", False), ("13.0.0", True), ("14.7.3", True)]
)
def test_blank_status_by_version(version: str, honoured: bool) -> None:
    project = REDCapProject.from_exports(metadata=METADATA, version=version)
    assert project.honors_blank_status is honoured


def test_a_checkbox_can_exclude_missing_data_codes() -> None:
    metadata = [METADATA[0], {**METADATA[2], "field_annotation": "@NOMISSING"}]
    project = REDCapProject.from_exports(
        metadata=metadata, info={"missing_data_codes": "NI, No information"}
    )
    assert "race___ni" not in [column.name for column in project.columns("visit")]
