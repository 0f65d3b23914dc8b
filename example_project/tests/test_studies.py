from example_project.studies import asthma, cervical
from redcap_dagster.api import REDCapClient
from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox import Sandbox


def test_the_records_fit_the_dictionary() -> None:
    exports = cervical.exports()
    project = REDCapProject.from_exports(
        metadata=exports["metadata"], instruments=exports["instrument"], info=exports["project"]
    )
    columns = [project.record_id_field, *(c.name for c in project.columns(cervical.FORM))]
    rows = cervical.records()
    assert all(list(row) == columns for row in rows)
    assert [row["record_id"] for row in rows] == [str(n) for n in range(1, 859)]


def test_the_same_seed_makes_the_same_people() -> None:
    assert cervical.records() == cervical.records()
    assert cervical.records() != cervical.records(seed=1)


def test_answers_agree_with_each_other() -> None:
    for row in cervical.records():
        if row["first_intercourse"] != "?":
            assert int(row["first_intercourse"]) <= int(row["age"])
        if row["smokes"] != "?":
            assert (row["smokes"] == "1") == (float(row["n_smoke_years"]) > 0)
        if row["stds"] != "?":
            assert int(row["n_stds"]) == sum(int(row[name]) for name in cervical.DISEASES)
        assert (row["stds_n_dx"] == "0") == (row["stds_time_since_last_dx"] == "?")


def test_the_trial_has_every_shape() -> None:
    exports = asthma.exports()
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports=exports, records=asthma.records())
        client = REDCapClient(sandbox.url, token)
        project = client.export_project()
        events = client.export_records(forms=["visit"])["redcap_event_name"]
    assert project.is_longitudinal
    assert len(project.arms) == 2
    assert project.surveys == ("diary",)
    assert project.has_access_groups
    assert [form for form in asthma.FIELDS if project.events_where_repeating(form)] == [
        "medication"
    ]
    assert project.repeating_events == {"unscheduled_arm_1", "unscheduled_arm_2"}
    assert project.missing_data_codes
    assert {field.field_type for field in project.fields} >= {
        "checkbox",
        "dropdown",
        "radio",
        "yesno",
    }
    assert set(events) == {row.unique_event_name for row in project.events}


def test_the_same_seed_makes_the_same_trial() -> None:
    assert asthma.records() == asthma.records()
    assert asthma.records() != asthma.records(seed=1)
