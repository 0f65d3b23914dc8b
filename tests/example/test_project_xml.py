"""``make demo XML=path``: a project of the reader's, in a sandbox."""

import os
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from example_project import local
from example_project.studies import cervical
from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.example.conftest import EXAMPLE, Project

XML = "Risk factors_2024-01-31_1020.REDCap.xml"
NAME = "xml_risk_factors_2024_01_31_1020"
PEOPLE = 120


@pytest.fixture
def xml(tmp_path: Path) -> Path:
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports=cervical.exports(), records=cervical.records()[:PEOPLE])
        path = tmp_path / XML
        path.write_text(REDCapClient(sandbox.url, token).projects.export_xml())
    return path


@pytest.mark.slow
def test_a_project_xml_is_a_study_with_a_database_of_its_own(project: Project, xml: Path) -> None:
    said = project.run("python", "-m", "example_project.demo", str(xml))

    assert f"stored  {NAME}/clean/risk_factors, rows: {PEOPLE}" in said
    assert f"make ui XML='{xml}'" in said
    assert {path.name for path in project.root.glob("*.duckdb")} == {f"{NAME}.duckdb"}
    with duckdb.connect(str(project.root / f"{NAME}.duckdb"), read_only=True) as connection:
        missing = connection.table(f"{NAME}_analysis.missingness").fetchall()
        ages = connection.table(f"{NAME}_clean.risk_factors").project("age").fetchall()
    assert len(missing) == 38  # that of the analysis
    assert [str(age) for (age,) in ages] == [row["age"] for row in cervical.records()[:PEOPLE]]


@pytest.mark.parametrize(
    ("name", "variables", "complaint"),
    [
        ("nowhere.xml", {}, "XML: nowhere.xml is not a file that can be read."),
        (".", {}, "XML: . is not a file that can be read."),
        ("notes.txt", {}, "XML: notes.txt: not well-formed XML"),
        ("page.xml", {}, "XML: page.xml: not a REDCap project XML"),
        ("page.xml", {"REDCAP_API_TOKEN": "0" * 32}, "XML names a project, and REDCAP_API_TOKEN"),
    ],
)
def test_a_file_that_is_not_a_project_is_refused_in_a_sentence(
    name: str,
    variables: dict[str, str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("page.xml").write_text("<html/>")
    Path("notes.txt").write_text("Notes")
    for variable in ("REDCAP_API_URL", "REDCAP_API_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended, local.redcap(Path(name)):
        pytest.fail("It is used.")
    assert str(ended.value).startswith(complaint)


@pytest.mark.parametrize("target", ["demo", "ui"])
@pytest.mark.parametrize(("given", "arguments"), [("XML=it's 1.xml", ["it's 1.xml"]), ("XML=", [])])
def test_make_passes_the_path_on(
    target: str, given: str, arguments: list[str], tmp_path: Path
) -> None:
    shutil.copy(EXAMPLE.parent / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    said = subprocess.check_output(
        ["make", "--no-print-directory", "-o", ".venv/demo", target, given],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},  # without the options of a make that runs the tests
        text=True,
    )
    assert said.splitlines() == ["-m", f"example_project.{target}", *arguments]
