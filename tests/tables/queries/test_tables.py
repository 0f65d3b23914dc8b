"""The two tables: what a row says, where its link leads, and what no row holds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from redcap_dagster.project import REDCapProject
from redcap_dagster.tables.quality import RuleFindings
from redcap_dagster.tables.queries import (
    Confirmation,
    ConfirmationError,
    Confirmations,
    JudgedForm,
    Judgment,
    QueryTables,
    read_confirmations,
    update_queries,
)
from tests.dictionary import field, in_events

URL = "https://redcap.example.edu/api/"
FIRST = datetime(2026, 1, 30, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 31, 12, tzinfo=UTC)
PROJECT = REDCapProject.from_exports(
    metadata=[
        field("id", "visit"),
        field("age", "visit", label="Age in years"),
        field("mail", "visit", identifier="y"),
        field("race", "visit", type="checkbox", choices="1, A | 2, B"),
    ],
    info={"project_id": 7},
    arms=[{"arm_num": 1, "name": "Arm 1"}],
    events=[
        {"event_name": "V1", "arm_num": 1, "unique_event_name": "v1_arm_1", "event_id": 41},
        {"event_name": "V2", "arm_num": 1, "unique_event_name": "v2_arm_1", "event_id": 42},
    ],
    form_event_mapping=in_events([], {"v1_arm_1": ["visit"], "v2_arm_1": ["visit"]})[
        "formEventMapping"
    ],
    repeating=[{"event_name": "v2_arm_1"}],
    version="14.7.3",
    header=["redcap_data_access_group"],
)


def judge(values: dict[str, list[Any]], *, at: datetime = FIRST, **options: Any) -> Judgment:
    """Judge rows of the form: each field is wrong where its value begins with bad."""
    rows = {"id": ["A 1"], "redcap_event_name": ["v2_arm_1"], "redcap_repeat_instance": ["3"]}
    groups = {"redcap_data_access_group": ["north"]}
    records = pa.table({**rows, **groups, **values})
    found = [
        RuleFindings(
            rule="good",
            letter="C",
            instrument="visit",
            field=name.partition("___")[0],
            wrong=pa.array([str(text).startswith("bad") for text in cells]),
            certain=pa.array([True] * len(cells)),
            read=records.select([name]),
            text="The value is bad.",
        )
        for name, cells in values.items()
    ]
    form = JudgedForm("visit", records, found, severities={"good": "error"})
    return Judgment(PROJECT, "redcap.example.edu/api", at, {"visit": form}, {"good"}, **options)


def update(judgment: Judgment, before: QueryTables | None = None, **options: Any) -> QueryTables:
    history = None if before is None else before.history
    return update_queries(judgment, history, url=URL, **options)


def test_a_row_says_what_is_wrong_where_and_opens_its_form() -> None:
    first = update(judge({"age": ["bad 999"]}))
    later = update(judge({"age": ["bad 999"]}, at=LATER), first)

    (row,) = later.open.to_pylist()
    assert row.pop("query_id").startswith("Q")
    assert row == {
        "record": "A 1",
        "event": "v2_arm_1",
        "instance": 3,
        "access_group": "north",
        "instrument": "visit",
        "field": "age",
        "label": "Age in years",
        "rule": "good",
        "letter": "C",
        "problem": "The value is bad.",
        "severity": "error",
        "since": FIRST.replace(tzinfo=None),
        "state": "open",
        "link": "https://redcap.example.edu/redcap_v14.7.3/DataEntry/index.php?pid=7&id=A+1"
        "&event_id=42&page=visit&instance=3&fldfocus=age",
    }
    assert later.count_open() == [("good", "north", 1)]
    assert later.count_states()["open"] == 1


def test_a_query_of_which_a_duplicate_row_cannot_be_judged_is_listed_once() -> None:
    """One of two rows with the same key is wrong, of the other nobody can say."""
    records = pa.table({"id": ["1", "1"], "redcap_event_name": ["v1_arm_1"] * 2, "age": ["7", "8"]})
    columns = (pa.array([True, False]), pa.array([True, False]), records.select(["age"]))
    found = RuleFindings("good", "C", "visit", "age", *columns, "The value is bad.")
    form = JudgedForm("visit", records, [found])
    judgment = Judgment(PROJECT, "redcap.example.edu/api", FIRST, {"visit": form}, {"good"})
    again = update(judgment, update(judgment))
    assert again.open["state"].to_pylist() == ["open"]


def test_values_are_shown_on_request_and_identifiers_never() -> None:
    wrong = {"age": ["bad 999"], "mail": ["bad@example.edu"], "race___1": ["1"], "race___2": ["0"]}

    judgment = judge(wrong)
    assert "999" not in str(update(judgment).open.to_pylist())
    shown = update(judgment, show_values=True).open.to_pylist()
    assert [(row["field"], row["value"]) for row in shown] == [("age", "bad 999"), ("mail", None)]
    assert "999" not in str(update(judgment, show_values=True).history.to_pylist())


def test_no_table_without_the_salt_tells_a_guessed_value() -> None:
    judgment = judge({"age": ["bad 999"]})
    one, other = (update(judgment).history.to_pylist() for _ in range(2))
    assert one[0]["query_id"] == other[0]["query_id"]
    assert one[0]["digest"] != other[0]["digest"]


def test_a_confirmation_is_of_what_the_list_showed(tmp_path: Path) -> None:
    """It does not count for a value that changed before the run that reads it."""
    first = update(judge({"age": ["bad 1"]}))
    (query_id,) = first.open["query_id"].to_pylist()
    file = tmp_path / "confirmed.csv"
    file.write_text(
        f"\ufeffquery_id;who;why;note\n{query_id};Ada;in the source;\nQAAAAAAAAAAAA;Ada;no;\n"
        f";;;\n{query_id};;no reason given;\n",
        encoding="utf-8",
    )
    given = read_confirmations(file)

    confirmed = update(judge({"age": ["bad 1"]}, at=LATER), first, confirmations=given)
    assert confirmed.open.num_rows == 0
    assert confirmed.refused == {
        "3": "no query has its id",
        "5": "it does not say who confirmed the query and why",
    }

    changed = update(judge({"age": ["bad 2"]}, at=LATER), first, confirmations=given)
    assert changed.open["state"].to_pylist() == ["open"]
    assert changed.history["what"].to_pylist() == ["found", "confirmed", "changed"]
    again = update(judge({"age": ["bad 2"]}, at=LATER), changed, confirmations=given)
    assert again.history.equals(changed.history)


def test_a_changed_value_is_confirmed_again_whatever_the_order_of_the_files() -> None:
    first = update(judge({"age": ["bad 1"]}))
    (query_id,) = first.open["query_id"].to_pylist()
    old, new = (Confirmation(query_id, "Ada", why) for why in ("in the source", "still so"))
    confirmed = update(judge({"age": ["bad 1"]}, at=LATER), first, confirmations=both(old))
    for given in (both(old, new), both(new, old)):
        changed = update(judge({"age": ["bad 2"]}, at=LATER), confirmed, confirmations=both(old))
        assert changed.open.num_rows == 1
        again = update(judge({"age": ["bad 2"]}, at=LATER), changed, confirmations=given)
        assert again.open.num_rows == 0


def both(*given: Confirmation) -> Confirmations:
    return Confirmations(given)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("\ufeffquery_id;who;why\r\nQA;Zoë;a, b\r\n", {}),
        ("sep=;\nquery_id;who;why\nQA;Zoë;a, b\n", {}),
        ("To do, until Friday\n;;\nquery_id;who;why\nQA;Zoë;a, b\n", {}),
        ("query_id\twho\twhy\nQA\tZoë\ta, b\n", {}),
        ('Why, Who ,QUERY_ID\r"a, b",Zoë, qa \r', {}),
        ('query_id,who,why\n\nQA,Zoë,"a, b"\n\nQB,Zoë\n', {"5": "does not say who"}),
        ("query_id,who,why\nQA,Zoë,a, b\n", {"2": "more cells than the header"}),
        ("query_id,who,why\n,Zoë,a\nQB,,\n", {"2": "does not have a query id"}),
    ],
)
def test_a_csv_file_is_read_as_spreadsheets_save_it(
    tmp_path: Path, text: str, refused: Mapping[str, str]
) -> None:
    file = tmp_path / "confirmed.csv"
    file.write_bytes(text.encode())
    found = read_confirmations(file)
    given = [] if "2" in refused else [("QA", "Zoë", "a, b")]
    assert [(one.query_id, one.who, one.why) for one in found.given] == given
    assert found.refused.keys() == refused.keys()
    assert all(words in found.refused[row] for row, words in refused.items())


def test_a_workbook_saved_as_csv_is_compared_with_its_queries(tmp_path: Path) -> None:
    tables = update(judge({name: ["bad"] for name in ("age", "mail", "race___1")}))
    rows = tables.open.select(["query_id", "field", "rule"]).to_pylist()
    rows[0]["query_id"], rows[1]["query_id"] = rows[1]["query_id"], rows[0]["query_id"]
    lines = [f"{row['query_id']},{row['field']},{row['rule']},Ada,so it is" for row in rows]
    file = tmp_path / "confirmed.csv"
    file.write_text("\n".join(["query_id,field,rule,who,why", *lines]))
    found = read_confirmations(file, tables.history)
    assert [one.row for one in found.given] == ["4"]
    assert set(found.refused.values()) == {"its query id belongs to another field"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "query_id, who, why"),
        ("query_id,who\n", "query_id, who, why"),
        ("query_id,who,why,Why\n", "has columns twice: why"),
        ("query_id,who,why\n\xff\n", "not in UTF-8"),
        ('query_id,who,why\nQA,Ada,"so\n', "quotes of the file do not match"),
    ],
)
def test_confirmations_that_cannot_be_read_are_refused_without_a_cell(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "confirmed.csv"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfirmationError, match=says):
        read_confirmations(file)
    with pytest.raises(ConfirmationError, match="no such file or folder"):
        read_confirmations(tmp_path / "absent")


def test_a_form_that_lost_an_event_or_moved_is_not_called_deleted() -> None:
    first = update(judge({"age": ["bad 1"]}))
    gone = judge({"age": ["bad 1"]}, listed={"A 1"}, instruments=[])
    withdrawn = update(
        Judgment(**{**vars(gone), "forms": {}}), first, confirmations=Confirmations()
    )
    assert withdrawn.count_states()["rule withdrawn"] == 1
    assert withdrawn.open.num_rows == 0


def test_a_row_of_an_own_rule_is_the_same_in_each_of_its_forms() -> None:
    """It is judged in the first of the forms that were saved, which may be another one later."""
    project = REDCapProject.from_exports(
        metadata=[field("id", "first"), field("a", "first"), field("b", "second")]
    )

    def judged(form: str, *, wrong: bool, certain: bool = True) -> JudgedForm:
        records = pa.table({"id": ["1"], f"{form}_complete": ["2"]})
        columns = (pa.array([wrong]), pa.array([certain]), records.select(["id"]))
        found = RuleFindings("in order", "", form, "", *columns, "The rule is true.")
        return JudgedForm(form, records, [found])

    def run(before: QueryTables | None, *forms: JudgedForm) -> QueryTables:
        by_name = {form.instrument: form for form in forms}
        judgment = Judgment(project, "redcap.example.edu", LATER, by_name, {"in order"})
        return update(judgment, before)

    second_alone = run(None, judged("second", wrong=True))
    both = run(second_alone, judged("first", wrong=True), judged("second", wrong=False))
    assert both.history["what"].to_pylist() == ["found"]
    assert both.open["instrument"].to_pylist() == ["first"]
    unknown = judged("first", wrong=False, certain=False)
    not_judged = run(both, unknown, judged("second", wrong=False))
    assert not_judged.open["state"].to_pylist() == ["not judged"]
    solved = run(both, judged("first", wrong=False), judged("second", wrong=False))
    assert solved.history["what"].to_pylist() == ["found", "solved"]


def test_a_rule_that_needs_a_hidden_status_is_not_withdrawn() -> None:
    first = update(judge({"age": ["bad 1"]}))
    records = judge({"age": ["bad 1"]}).forms["visit"].records
    hidden = JudgedForm("visit", records, [], hidden=["visit_complete"])
    shown = JudgedForm("visit", records, [])
    for form, state in ((hidden, "hidden from this token"), (shown, "rule withdrawn")):
        judgment = Judgment(PROJECT, "redcap.example.edu/api", LATER, {"visit": form}, {"good"})
        assert update(judgment, first).count_states()[state] == 1
