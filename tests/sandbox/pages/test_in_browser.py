"""The pages in a browser: from a project XML to rights and a token, by mouse or keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, ViewportSize, expect

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.browser import find_accessibility_faults, open_browser
from tests.sandbox.conftest import LONGITUDINAL, LONGITUDINAL_RECORDS
from tests.sandbox.test_cli import PROJECT

NARROW: ViewportSize = {"width": 360, "height": 740}
WIDE: ViewportSize = {"width": 1440, "height": 900}


@pytest.fixture
def page() -> Iterator[Page]:
    with open_browser() as chromium:
        yield chromium.new_page(viewport=WIDE)


def check(page: Page) -> None:
    """Check what holds for every page."""
    assert find_accessibility_faults(page) == []
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_text("This is not a REDCap server")).to_be_visible()
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size(WIDE)


@pytest.mark.slow
def test_from_a_project_xml_to_a_token(page: Page, sandbox: Sandbox, tmp_path: Path) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    file = tmp_path / "project.xml"
    file.write_text(PROJECT)
    root = sandbox.pages_url.partition("?")[0]

    page.goto(f"{root}new-project")  # before the key was given
    expect(page.get_by_role("heading", name="These pages need a key")).to_be_visible()
    check(page)
    problems.clear()
    page.goto(sandbox.pages_url)
    assert page.url == f"{root}new-project"
    check(page)
    page.get_by_label("Project title").fill("My study")
    page.get_by_label("Purpose of this project").select_option("Research")
    page.get_by_label("Upload a REDCap project XML file").set_input_files(file)
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("status")).to_contain_text("The project was created")
    check(page)
    menu = page.get_by_role("navigation", name="Project")
    expect(menu.get_by_role("link", name="API")).to_have_count(0)

    menu.get_by_role("link", name="User rights").click()
    check(page)
    page.get_by_role("link", name="Change the rights of sandbox").click()
    check(page)
    page.get_by_label("API export").check()
    page.get_by_role("button", name="Save rights").click()
    expect(page.get_by_role("status")).to_contain_text("saved")
    expect(menu.get_by_role("link", name="API Playground")).to_be_visible()

    menu.get_by_role("link", name="API", exact=True).click()
    check(page)
    page.get_by_role("button", name="Generate API token").click()
    page.get_by_role("button", name="Show token").click()
    check(page)
    token = page.get_by_label("Token of sandbox").input_value()
    form = {"token": token, "content": "record", "format": "csv"}
    assert requests.post(sandbox.url, form, timeout=120).text == "id,visit_complete\ncanary,0\n"
    page.get_by_text("Regenerate the token").click()
    check(page)
    page.get_by_role("button", name="Regenerate API token").click()
    expect(page.get_by_role("status")).to_contain_text("refused from now on")
    assert requests.post(sandbox.url, form, timeout=120).status_code == 403
    assert token not in page.content()

    page.get_by_role("link", name="All projects").click()
    check(page)
    expect(page.get_by_role("row", name="My study")).to_contain_text(sandbox.url)
    assert problems == []  # the policy of the pages refuses nothing that they load


@pytest.mark.slow
def test_a_record_by_keyboard(page: Page, sandbox: Sandbox) -> None:
    token = sandbox.add_project(exports=LONGITUDINAL, records=LONGITUDINAL_RECORDS)
    pid = REDCapClient(sandbox.url, token).export_project().info.project_id
    page.goto(sandbox.pages_url.replace("/?", f"/index.php?pid={pid}&"))
    check(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Record")).to_be_focused()
    page.keyboard.type("1")
    page.get_by_label("Instrument", exact=True).select_option("drug")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Drug")).to_be_visible()
    check(page)
    page.goto(f"{page.url}&fldfocus=drug_complete")
    expect(page.get_by_role("row", name="Complete?")).to_be_in_viewport()
    expect(page.get_by_role("row", name="Complete?")).to_have_css(
        "background-color", "rgb(255, 243, 196)"
    )
    page.goto(page.url.replace("id=1", "id=none"))
    check(page)
