"""All logic of two dictionaries of real studies can be read and evaluated."""

import csv
from pathlib import Path

from redcap_dagster.project.logic import (
    Facts,
    evaluate_calculation,
    evaluate_condition,
    list_references,
    parse_logic,
)


def test_all_logic_of_real_dictionaries(fixtures: Path) -> None:
    branching, calculations = 0, 0
    for path in sorted((fixtures / "dictionaries").glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            fields = list(csv.DictReader(file))
        names = {field["field_name"] for field in fields}
        statuses = {f"{field['form_name']}_complete" for field in fields}
        for field in fields:
            texts = [field["branching_logic"]]
            if field["field_type"] == "calc":
                texts.append(field["select_choices_or_calculations"])
            for number, text in enumerate(texts):
                if not text:
                    continue
                node = parse_logic(text)
                assert {each.field for each in list_references(node)} <= names | statuses, text
                if number:
                    calculations += 1
                    evaluate_calculation(node, Facts(lambda _: "1"))
                else:
                    branching += 1
                    evaluate_condition(node, Facts(lambda _: ""))
    assert (branching, calculations) == (4393, 74)
