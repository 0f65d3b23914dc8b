"""The structure of a project from a project XML, from JSON, and from a data dictionary."""

import csv
import io
import json
from dataclasses import fields
from pathlib import Path

import pytest

from redcap_dagster.project import Field, REDCapProject, Repeating
from redcap_dagster.sandbox.synthesis.implied_events import with_implied_events
from redcap_dagster.sandbox.synthesis.structure_files import read_structure_file
from tests.dictionary import field

DICTIONARY = [
    field("id"),
    field("smokes", type="yesno"),
    field("packs", validation="integer", branching_logic="[smokes] = '1'"),
]
NAMES = [column.name for column in fields(Field)]


def write_csv(header: list[str], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows([[row.get(name, "") for name in NAMES] for row in DICTIONARY])
    return text.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        write_csv(NAMES).encode(),
        write_csv([f"Überschrift {number}" for number in range(18)]).encode("utf-8-sig"),
        write_csv(["Variable / Field Name", *NAMES[1:]], ";").encode("latin-1"),
        json.dumps(DICTIONARY).encode(),
        json.dumps({"metadata": DICTIONARY}).encode(),
        REDCapProject.from_exports(metadata=DICTIONARY).to_json().encode(),
    ],
    ids=["api", "pages", "spreadsheet", "list", "exports", "structure"],
)
def test_the_same_structure(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    project = read_structure_file(path)
    assert project.fields == REDCapProject.from_exports(metadata=DICTIONARY).fields


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\nsecret,2\n", "not a project XML"),
        ("", "not a project XML"),
        ("{secret", "damaged"),
        ("<secret", "XML"),
        (write_csv(NAMES) + "secret,visit\n", "row 5 .* 18 cells"),
        ('{"format": 1, "fields": []}', "damaged"),
    ],
)
def test_a_file_that_is_none_of_these(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "file.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"file\.csv: .*{message}") as caught:
        read_structure_file(path)
    assert "secret" not in str(caught.value)


def test_events_of_a_file_that_lists_its_own(tmp_path: Path) -> None:
    path = tmp_path / "trial.json"
    path.write_text(json.dumps(DICTIONARY))
    with pytest.raises(ValueError, match="data dictionary only"):
        read_structure_file(path, ["first"])


def imply(*logic: tuple[str, str], events: tuple[str, ...] = ()) -> REDCapProject:
    """Return the project of two forms, with branching logic by form."""
    rows = [
        field("id"),
        field("a"),
        field("b", "lab"),
        *(field(f"x{n}", form, branching_logic=text) for n, (form, text) in enumerate(logic)),
    ]
    return with_implied_events(REDCapProject.from_exports(metadata=rows), events)


@pytest.mark.parametrize(
    ("project", "events", "repeating"),
    [
        (imply(("visit", "[a] = '1'")), [], []),
        (imply(("visit", "[a][previous-instance] = '1'")), [], [Repeating("visit")]),
        (
            imply(("visit", "[v_arm_2][a] = '1'"), ("lab", "[event-name] <> 'w_arm_1'")),
            ["v_arm_2", "w_arm_1"],
            [],
        ),
        # Twice in the same event is an instance; once is not.
        (
            imply(("visit", "[v_arm_1][a] = '1' and [a][1] = '1' and [w_arm_1][b] = ''")),
            ["v_arm_1", "w_arm_1"],
            [Repeating("visit", "w_arm_1")],
        ),
        # Instruments of which one asks for the other's instances are instances of one event.
        (
            imply(
                ("lab", "[v_arm_1][a][previous-instance] = '1'"), ("lab", "[b][last-instance]=1")
            ),
            ["v_arm_1"],
            [Repeating("", "v_arm_1")],
        ),
        (
            imply(events=("first", "w_arm_3:repeating")),
            ["first_arm_1", "w_arm_3"],
            [Repeating("", "w_arm_3")],
        ),
    ],
)
def test_events_that_logic_names(
    project: REDCapProject, events: list[str], repeating: list[Repeating]
) -> None:
    assert [event.unique_event_name for event in project.events] == events
    assert list(project.repeating) == repeating
    assert len(project.form_events) == 2 * len(events)
