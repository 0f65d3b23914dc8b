"""Expressions with values and results from public sources, and our choices where there are none.

What each source is:

- ``kb``: articles of a knowledge base for REDCap 16, github.com/bdeveer/REDCap_KB_RAG, ``kb/``
- ``kb:functions``: its list of functions with their arguments
- ``kb:syntax-fixer``, ``kb:syntax-builder``: how to mend and how to write logic, in the same place
- ``roscoelai``: github.com/roscoelai/reference, ``reference-REDCap.md``
- ``ccts-bsc``: ccts-bsc.netlify.app/redcap/date-difference
- ``rios``: tests of another implementation, github.com/prometheusresearch/rios.conversion
- ``universal-validator``: tests and documentation of a REDCap module,
  github.com/NghaReformer/redcap-universal-validator
- ``REDCapDM``: documentation of an R package, rdrr.io/cran/REDCapDM/man/rd_recalculate.html
- ``uf-guide``: a guide of the University of Florida, scribd.com/document/628776406
- ``faq``: REDCap's own, in a copy, naccaderle160.amebaownd.com/posts/27912766: a value that is not
  a number gives other results in the browser than on the server
- ``uf-branching``: its guide of branching logic, vdocuments.site, "Branching Logic in REDCap"
- ``alberta``: rules of a study, help.redcap.ualberta.ca, "Example Data Quality Rules"
- ``rdcrn``: rdcrn.atlassian.net, pages 2828697616 (quotes) and 2829254666 (checkboxes)
- ``iths``: slides of the University of Washington, paperzz.com/doc/7252271
- ``utah``: utahctsi.atlassian.net, page 804388866
- ``nacc``: docs.naccdata.org, "Action Tags"
- ``perinatal``: a unit's list of functions, in the data set nvidia/Nemotron-CC-Math-v1
- ``api-help``: a server's help page of the API, chi-redcap.dshs.texas.gov/redcap/api/help
- ``rsvc``: REDCap's validation suite, as in github.com/aldefouw/redcap_cypress
- ``dictionaries``: notations of public data dictionaries
- ``issue-tracker``: an issue on GitHub
- ``choice``: ours, mostly because sources disagree, or because JavaScript and PHP do

The missing data codes are UNK and -99; it is 13:30 on the 30th of March 2024. A form shows the
dates of fields whose names end in mdy or dmy in these orders.
"""

import csv
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from redcap_dagster.project.logic import (
    UNKNOWN,
    Facts,
    LogicError,
    Reference,
    evaluate,
    evaluate_calculation,
    evaluate_condition,
    parse_logic,
)
from redcap_dagster.project.logic.tokens import tokenize

with Path(__file__).with_name("expressions.csv").open(encoding="utf-8", newline="") as file:
    ROWS = [tuple(row.values()) for row in csv.DictReader(file)]


def read_reference(text: str) -> Reference:
    node = parse_logic("".join(f"[{part}]" for part in text.split()))
    assert isinstance(node, Reference)
    return node


def make_facts(text: str) -> Facts:
    values = {}
    for part in filter(None, text.split("; ")):
        name, _, value = part.partition(":")
        values[read_reference(name)] = value.strip()
    now = datetime(2024, 3, 30, 13, 30)  # noqa: DTZ001
    return Facts(
        values.__getitem__,
        missing_codes=frozenset({"UNK", "-99"}),
        now=now,
        other_dates={each.field for each in values if each.field.endswith(("_mdy", "_dmy"))},
    )


@pytest.mark.parametrize(("expression", "values", "result", "source"), ROWS)
def test_expressions(expression: str, values: str, result: str, source: str) -> None:
    if result == "error":
        with pytest.raises(LogicError):
            parse_logic(expression)
        return
    node, facts = parse_logic(expression), make_facts(values)
    match result:
        case "true" | "false":
            assert evaluate_condition(node, facts) is (result == "true"), source
        case "unknown":
            # As a calculation, a condition alone is never known.
            assert not isinstance(evaluate(node, facts), bool), source
            results = (evaluate_calculation, evaluate_condition)
            assert any(each(node, facts) is UNKNOWN for each in results)
        case _:
            expected = "" if result == "blank" else result
            assert evaluate_calculation(node, facts) == expected, source


def test_no_expression_is_read_without_one_of_its_brackets() -> None:
    for expression, _, result, _ in ROWS:
        tokens = [] if result == "error" else tokenize(expression)
        for token in tokens:
            if token.kind == "reference" or token.text in ("(", ")"):
                lost = expression[: token.at] + expression[token.at + 1 :]
                with pytest.raises(LogicError):
                    parse_logic(lost)


def test_the_table_is_held_to_something_else_than_this_engine() -> None:
    sources = Counter(source == "choice" for *_, source in ROWS)
    assert len(set(ROWS)) == len(ROWS)
    assert sources[False] >= 150
