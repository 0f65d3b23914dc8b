"""``docs/walk.md`` as its reader walks it, with a browser: the steps, and their pictures."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.browser import open_browser
from tests.example.conftest import Project, read_until

PATIENCE = 60_000.0
"""Milliseconds that the page waits at most for what it is to show."""
REFUSED = 403


@pytest.fixture
def page() -> Iterator[Page]:
    with open_browser() as chromium:
        page = chromium.new_page(viewport={"width": 1200, "height": 760})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield page


@pytest.fixture
def playground(project: Project) -> Iterator[dict[str, str]]:
    """What ``make playground`` says, by its first words."""
    with project.running("python", "-m", "example_project.playground") as process:
        said, _ = read_until(process, "Ctrl-C")
        yield dict(re.findall(r"^(\w+ \w+) +(\S+)$", said, re.M))


@pytest.mark.slow
def test_from_a_project_xml_to_records(
    page: Page, playground: dict[str, str], pictures: Path
) -> None:
    page.goto(playground["REDCap pages"])
    page.get_by_role("link", name="New Project").click()
    page.get_by_label("Project title").fill("My study")
    page.get_by_label("Purpose of this project").select_option("Practice / Just for fun")
    page.get_by_label("Upload a REDCap project XML file").set_input_files(playground["Project XML"])
    page.get_by_role("button", name="Create project").click()

    expect(page.get_by_text("The project was created.")).to_be_visible()
    menu = page.get_by_role("navigation", name="Project")
    expect(menu.get_by_text("API")).to_have_count(0)
    page.screenshot(path=pictures / "walk-project.png")

    change_right(page, menu, "API export", checked=True)
    page.screenshot(path=pictures / "walk-rights.png")
    page.reload()
    for entry in ("API", "API Playground"):
        expect(menu.get_by_role("link", name=entry, exact=True)).to_be_visible()

    menu.get_by_role("link", name="API", exact=True).click()
    page.get_by_role("button", name="Generate API token").click()
    expect(page.get_by_text("It is hidden until you ask for it.")).to_be_visible()
    page.screenshot(path=pictures / "walk-token.png")
    token = show_token(page)
    assert export(playground, token) == (200, 859)

    page.get_by_text("Regenerate the token").click()
    page.get_by_role("button", name="Regenerate API token").click()
    expect(page.get_by_text("The old one is refused from now on.")).to_be_visible()
    assert export(playground, token)[0] == REFUSED
    token = show_token(page)
    assert export(playground, token) == (200, 859)

    change_right(page, menu, "API export", checked=False)
    assert export(playground, token)[0] == REFUSED
    expect(menu.get_by_text("API")).to_have_count(0)


def change_right(page: Page, menu: Locator, right: str, *, checked: bool) -> None:
    """Give oneself a right, or take it away."""
    menu.get_by_role("link", name="User rights").click()
    page.get_by_role("link", name="Change the rights of").click()
    page.get_by_label(right, exact=True).set_checked(checked)
    page.get_by_role("button", name="Save rights").click()
    expect(page.get_by_text("The rights were saved.")).to_be_visible()


def show_token(page: Page) -> str:
    page.get_by_role("button", name="Show token").click()
    return page.get_by_label("Token of").input_value()


def export(playground: dict[str, str], token: str) -> tuple[int, int]:
    """Return the status of a record export, and the number of its lines."""
    query = {"token": token, "content": "record", "format": "csv", "type": "flat"}
    response = requests.post(playground["REDCap API"], query, timeout=60)
    return response.status_code, len(response.text.splitlines())
