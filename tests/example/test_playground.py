"""``make playground``: the pages of a REDCap, opened in a browser where there is one."""

import re
import sys
import webbrowser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import expect

from example_project import playground
from example_project.studies import cervical
from redcap_dagster.sandbox import Sandbox
from tests.browser import open_browser
from tests.example.conftest import Project, read_until

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
PAGES = r"REDCap pages  (http://127\.0\.0\.1:\d+/\?key=\S+)"


@pytest.mark.slow
def test_the_pages_open_in_the_browser_whose_arguments_do_not_have_the_key(
    project: Project, tmp_path: Path
) -> None:
    program = tmp_path / "browser"
    program.write_text('#!/bin/sh\necho "opened $*"\n')
    program.chmod(0o755)
    variables = {"DISPLAY": ":99", "BROWSER": str(program)}
    with project.running("python", "-m", "example_project.playground", **variables) as process:
        said, opened = read_until(process, r"opened (\S+)")
        pages = re.search(PAGES, said)
        assert pages
        assert "key" not in opened[1]
        leading = Path(unquote(urlsplit(opened[1]).path))
        assert leading.stat().st_mode & 0o077 == 0
        with open_browser() as chromium:
            page = chromium.new_page()
            page.goto(opened[1])
            for title in ("Cervical cancer risk factors", "Asthma"):
                expect(page.get_by_role("link", name=title)).to_be_visible()
            # A link from elsewhere, such as one in Dagster.
            page.set_content(f'<a href="{pages[1].partition("?")[0]}new-project">Link</a>')
            page.get_by_role("link").click()
            page.get_by_label("Project title").fill("My study")
            page.get_by_label("Purpose of this project").select_option("Research")
            upload = page.get_by_label("Upload a REDCap project XML file")
            upload.set_input_files(*project.root.glob("*.REDCap.xml"))
            page.get_by_role("button", name="Create project").click()
            expect(page.get_by_text("The project was created.")).to_be_visible()
            expect(page.get_by_text(str(cervical.RECORDS), exact=True)).to_be_visible()
    assert process.returncode == 128 + 15
    assert not leading.exists()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What a browser was told to open, of which there is none."""
    opened: list[str] = []

    def refuse(url: str) -> bool:
        opened.append(url)
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(playground, "DAGSTER_HOME", tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(webbrowser, "open", refuse)
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    return opened


@pytest.mark.parametrize("display", [None, *DISPLAYS])
def test_it_goes_on_without_a_display_or_a_browser(
    display: str | None, opened: list[str], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    if display:
        monkeypatch.setenv(display, ":0")
    with playground.show_pages(sandbox):
        assert len(opened) == (0 if display is None else 1)
