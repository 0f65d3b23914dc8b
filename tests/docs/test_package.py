"""Wheel and sdist, and the files that introduce the project, also where they stand alone."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with wheel and sdist, as ``make package`` builds them."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


def test_both_pass_the_check_of_an_index(built: Path) -> None:
    files = [str(path) for path in built.iterdir()]
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True
    )

    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count("PASSED") == len(files) == 2


def test_the_license_is_in_both(built: Path) -> None:
    text = (REPOSITORY / "LICENSE").read_bytes()
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (here,) = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        assert archive.read(here) == text
        fields = Parser().parsestr(archive.read(metadata).decode())
    with tarfile.open(sdist) as archive:
        packed = archive.extractfile(f"redcap_dagster-{PROJECT['version']}/LICENSE")
        assert packed is not None
        assert packed.read() == text

    assert fields["License-Expression"] == "Apache-2.0"
    assert fields["License-File"] == "LICENSE"
    assert fields["Description-Content-Type"] == "text/markdown"


def test_the_wheel_has_the_package_and_the_plugin_alone(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.partition("/")[0] for name in names}
    package = REPOSITORY / "redcap_dagster"
    files = {
        str(path.relative_to(REPOSITORY))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    info = f"redcap_dagster-{PROJECT['version']}.dist-info"
    assert tops == {"redcap_dagster", "pytest_redcap_sandbox.py", info}
    assert files - names == set()  # templates and style sheets too


def test_the_readme_is_short_and_stands_alone() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    inline = [
        child
        for token in MarkdownIt("gfm-like", {"linkify": False}).parse(readme)
        for child in token.children or []
    ]
    links = [token.attrs["href"] for token in inline if token.type == "link_open"]

    assert len(readme.splitlines()) <= 160
    assert [link for link in links if not str(link).startswith("https://")] == []
    assert [token.attrs["src"] for token in inline if token.type == "image"] == []
    assert "<img" not in readme
    for command in ("make demo", "make ui", "make test"):
        assert re.search(rf"^{command}\b", readme, re.M)


def test_what_the_readme_names_is_there() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    files = re.findall(r"`([\w-]+\.(?:md|cff)|LICENSE|[\w-]+/)`", readme)
    places = [REPOSITORY, REPOSITORY / "docs"]

    assert "SECURITY.md" in files
    assert [file for file in files if not any((place / file).exists() for place in places)] == []


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())

    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()  # those that the format demands
    assert all(author["name"] for author in citation["authors"])
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]


def test_the_changelog_has_the_version_or_what_is_unreleased() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    heads = re.findall(r"^## \[([^\]]+)\]", changelog, re.M)

    assert {"Unreleased", PROJECT["version"]} & set(heads)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", changelog, re.M)) <= kinds


def test_ci_calls_make_targets_that_exist() -> None:
    text = (REPOSITORY / ".github" / "workflows" / "ci.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.M)

    assert ".ci/run" in runs
    called = [word for run in runs for word in run.split()[1:] if "=" not in word]
    assert {"lint", "docs", "test", "test-quick"} == set(called)
    assert set(called) <= set(targets)
    pythons = jobs["linux"]["strategy"]["matrix"]["python"]
    named = [each.rpartition(" :: ")[2] for each in PROJECT["classifiers"]]
    assert pythons == [each for each in named if re.fullmatch(r"3\.\d+", each)]
