"""Snippets with REDCapR, which the tests do not have: R reads them, and they hold the values."""

import shutil
import subprocess
from pathlib import Path

import pytest

from redcap_dagster.api.snippets import METHODS, find_method, snippet
from redcap_dagster.api.snippets.redcapr import _FUNCTIONS
from tests.api.snippets.test_executed import STEPS

EXPORT = find_method("Export Records")


def test_r_reads_them(tmp_path: Path) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("needs Rscript")
    written = 0
    for number, (title, values) in enumerate(STEPS):
        code = snippet(find_method(title), values, "REDCapR")
        if code is not None:
            assert "not executed" in code.splitlines()[0]
            (tmp_path / f"{number}.R").write_text(code)
            written += 1
    assert written > 15
    script = 'for (file in list.files(full.names = TRUE)) cat(length(parse(file)), "\\n")'
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.split() == ["3"] * written, done.stderr


def test_arguments_are_of_parameters() -> None:
    known = {(method.content, method.action): method for method in METHODS}
    for key, function in _FUNCTIONS.items():
        names = {parameter.name for parameter in known[key].parameters}
        assert function.arguments.keys() <= names, key


def test_what_was_chosen_is_said_or_no_code_is_offered() -> None:
    code = snippet(
        EXPORT,
        {
            "fields": ["record_id", "age"],
            "exportSurveyFields": True,
            "dateRangeBegin": "2024-01-31 10:20:30",
        },
        "REDCapR",
    )
    assert code is not None
    assert 'fields = c("record_id", "age")' in code
    assert "export_survey_fields = TRUE" in code
    assert 'datetime_range_begin = as.POSIXct("2024-01-31 10:20:30")' in code
    assert "guess_type = FALSE" in code
    assert "records =" not in code
    assert snippet(EXPORT, {"combineCheckboxOptions": True}, "REDCapR") is None
    assert snippet(EXPORT, {"type": "eav"}, "REDCapR") is None
    imported = find_method("Import Records")
    # REDCapR overwrites with blanks by default, REDCap does not.
    assert "overwrite_with_blanks = FALSE" in str(snippet(imported, {"data": "a\n1\n"}, "REDCapR"))
    assert snippet(imported, {"data": "[]", "format": "json"}, "REDCapR") is None
