"""Values that clean tables leave out are listed, with where and why."""

from redcap_dagster.tables import (
    CleaningRules,
    clean,
    list_invalid_values,
    split_by_instrument,
)
from tests.tables.longitudinal_project import PROJECT, export_of


def test_rejected_values_say_where_and_why() -> None:
    export = export_of(
        ("1 &é", "a_arm_1", "drug", "2", "", "", "", "much", "", "0"),
        ("1 &é", "a_arm_1", "drug", "3", "", "", "", "5", "", "7"),
        ("2", "b_arm_1", "", "", "", "", "", "little", "", "0"),
    )
    records = split_by_instrument(export, PROJECT)["drug"]
    cleaned = clean(records, "drug", PROJECT, CleaningRules())
    table = list_invalid_values(
        cleaned, records, "drug", PROJECT, "https://redcap.example.org/rc/api/"
    )
    pages = "https://redcap.example.org/rc/redcap_v14.5.1/DataEntry"
    form = f"{pages}/index.php?pid=12&id=1+%26%C3%A9&event_id=7&page=drug"
    links = [
        f"{form}&instance=2&fldfocus=dose",
        f"{pages}/record_home.php?pid=12&id=2",
        f"{form}&instance=3&fldfocus=drug_complete",
    ]
    assert table["link"].to_pylist() == links
    assert [tuple(row.values())[1:-1] for row in table.to_pylist()] == [
        ("a_arm_1", 1, "drug", 2, "dose", "much", "not a number"),
        ("b_arm_1", 1, None, None, "dose", "little", "not a number"),
        ("a_arm_1", 1, "drug", 3, "drug_complete", "7", "not one of the choices"),
    ]
    assert list_invalid_values(cleaned, records, "drug", PROJECT)["link"].null_count == 3


def test_nothing_rejected_is_a_table_too() -> None:
    records = split_by_instrument(export_of(), PROJECT)["drug"]
    cleaned = clean(records, "drug", PROJECT, CleaningRules())
    names = list_invalid_values(cleaned, records, "drug", PROJECT).column_names
    assert names[-4:] == ["field_name", "value", "reason", "link"]
