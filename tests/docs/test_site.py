"""The documentation site: strict, complete, and nothing in its pages comes from elsewhere."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import redcap_dagster
from redcap_dagster import api, tables

REPOSITORY = Path(__file__).parents[2]
PARTS = ("docs", "redcap_dagster", "mkdocs.yml")

pytestmark = pytest.mark.slow  # make lint builds the site, too


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(REPOSITORY, folder)
    assert done.returncode == 0, done.stdout
    return folder


def build(repository: Path, to: Path) -> subprocess.CompletedProcess[str]:
    """Build the site, as ``make docs`` does."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(to)]
    return subprocess.run(
        command, cwd=repository, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


class Assets(HTMLParser):
    """Collects what a browser loads with a page, and where its links go."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        names = ("src", "srcset", "data", "poster", *(["href"] if tag == "link" else []))
        self.loaded += [given[name] or "" for name in names if name in given]
        self.anchors.add(given.get("id") or "")


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = [Assets(page.read_text()) for page in site.rglob("*.html")]
    loaded = [url for page in pages for url in page.loaded]

    assert any(url.endswith(".css") for url in loaded)
    assert any(url.endswith(".js") for url in loaded)
    assert [url for url in loaded if re.match(r"(\w+:)?//", url)] == []
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text()) == []


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("python", redcap_dagster),
        ("tables", tables),
        ("client", api),
    ],
)
def test_the_reference_has_every_public_name(site: Path, page: str, module: object) -> None:
    anchors = Assets((site / "reference" / f"{page}.html").read_text()).anchors

    documented = {anchor.rpartition(".")[2] for anchor in anchors if "redcap_dagster" in anchor}
    names: list[str] = module.__all__  # type: ignore[attr-defined]
    own = {name for name in names if getattr(getattr(module, name), "__name__", name) == name}
    assert len(own) > 15
    assert own - documented == set()  # earlier names of the same are not shown


def test_every_option_has_a_text(site: Path) -> None:
    page = (site / "reference" / "yaml.html").read_text()
    rows = re.findall(r"<tr>\s*<td>(.*?)</td>\s*<td>(.*?)</td>", page, re.S)

    assert len(rows) > 50
    blank = {re.sub("<.*?>", "", name) for name, text in rows if not text}
    of_dagster = {"key", "backfill_policy.type", "backfill_policy.max_partitions_per_run"}
    assert blank <= of_dagster


def test_generated_parts_and_examples_are_there(site: Path) -> None:
    assert "<code>cleaning</code>" in (site / "reference" / "yaml.html").read_text()
    assert "<code>keys_unique</code>" in (site / "reference" / "checks.html").read_text()
    assert "--time-zone" in (site / "reference" / "command-line.html").read_text()
    assert "Example:" not in (site / "reference" / "python.html").read_text()


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    for part in PARTS:
        here = REPOSITORY / part
        copy = shutil.copytree if here.is_dir() else shutil.copy
        copy(here, tmp_path / part)
    broken = ["[x](nowhere.md)", "[x](index.md#nowhere)", "![x](nowhere.png)", "[x](/index.md)"]
    page = tmp_path / "docs" / "index.md"
    page.write_text("\n\n".join([page.read_text(), *broken]))

    done = build(tmp_path, tmp_path / "site")

    assert done.returncode == 1
    assert f"Aborted with {len(broken)} warnings in strict mode" in done.stdout
