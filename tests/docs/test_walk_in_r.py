"""The walk in R: what the page that R makes of it shows."""

import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

from example_project.studies import cervical
from redcap_dagster.api.snippets import find_method, snippet
from redcap_dagster.sandbox import Sandbox
from tests.docs.code_blocks import REPOSITORY
from tests.docs.rscript import run_r

WALK = REPOSITORY / "docs" / "walk.Rmd"
URL = "https://redcap.example.edu/api/"
RENDER = """
arguments <- commandArgs(TRUE)
rmarkdown::render(arguments[1], output_dir = arguments[2], intermediates_dir = arguments[2])
"""


@pytest.mark.slow
def test_the_walk_goes_from_question_marks_to_a_model(tmp_path: Path) -> None:
    records = cervical.records()
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports=cervical.exports(), records=records)
        variables = {"REDCAP_API_URL": sandbox.url, "REDCAP_API_TOKEN": token}
        run_r(RENDER, str(WALK), str(tmp_path), **variables)
    page = (tmp_path / "walk.html").read_text()
    printed = [
        re.sub(r"^## ?", "", unescape(re.sub("<.*?>", "", block)), flags=re.M).strip("\n")
        for kind, block in re.findall("<pre(.*?)>(.*?)</pre>", page, re.S)
        if "class=" not in kind  # else it is code
    ]

    numbers = pd.DataFrame(records).replace("?", None).apply(pd.to_numeric, errors="coerce")
    age = numbers["age"]
    assert printed[:2] == ["[1] 200", "[1] 858  38"]
    # What breaks: R, too, makes text of a column with a question mark.
    assert "Length:858" in printed[2]
    assert "Class :character" in printed[2]
    assert printed[3].split() == ["character", "integer", "26", "12"]
    # Then each of them is missing, and all columns are numbers.
    assert printed[4] == "[1] 3622"
    assert printed[5].split() == ["integer", "numeric", "34", "4"]
    assert printed[6] == printed[4]
    for name, value in (("Min.", age.min()), ("Median", age.median()), ("Max.", age.max())):
        assert re.search(rf"^ ?{re.escape(name)} *:{value:.1f} ", printed[7], re.M)
    assert re.search(rf"Mean *:{age.mean():.1f} ", printed[7])
    assert "NA's   :56" in printed[7]
    assert printed[8].split()[:4] == [
        "stds_time_since_first_dx",
        "stds_time_since_last_dx",
        "787",
        "787",
    ]
    correlations = numbers.corr(method="spearman")["biopsy"]
    assert printed[9].split()[0] == "schiller"
    assert printed[9].split()[5] == f"{correlations['schiller']:.2f}"
    odds = {line.split()[0]: line.split()[1:] for line in printed[10].splitlines()[2:]}
    assert 1.02 < float(odds["age"][0]) < 1.1
    assert all(float(low) > 1 for _, low, _ in odds.values())
    assert page.count('<img src="data:image/png') == 1
    assert token not in page
    assert re.findall('(?:src|rel="stylesheet" href)="https?:', page) == []
    assert "mathjax" not in page.lower()  # which a script would load


def test_the_request_is_the_code_of_the_playground() -> None:
    method = find_method("Export Records")
    code = snippet(method, {"format": "csv", "type": "flat"}, "httr", url=URL)
    assert code is not None
    request, printing, _ = code.partition("cat(result)")
    assert printing
    assert request.replace(f'"{URL}"', 'Sys.getenv("REDCAP_API_URL")') in WALK.read_text()
