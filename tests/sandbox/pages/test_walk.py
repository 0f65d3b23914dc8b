"""The article's walk in a browser: from a project XML to the records, and to code of one's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from example_project.studies import cervical
from redcap_dagster.api import REDCapClient
from redcap_dagster.api.snippets import LANGUAGES
from redcap_dagster.sandbox import Sandbox
from tests.browser import find_accessibility_faults, open_browser


@pytest.fixture
def context() -> Iterator[BrowserContext]:
    with open_browser() as chromium:
        yield chromium.new_context(
            viewport={"width": 1440, "height": 900},
            permissions=["clipboard-read", "clipboard-write"],
        )


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def xml(sandbox: Sandbox, tmp_path: Path) -> Path:
    """The XML of a study with 858 records, as REDCap exports it."""
    token = sandbox.add_project(exports=cervical.exports(), records=cervical.records())
    file = tmp_path / "cervical.REDCap.xml"
    file.write_text(REDCapClient(sandbox.url, token).projects.export_xml(), encoding="utf-8")
    return file


@pytest.mark.slow
def test_from_a_project_xml_to_records_and_code(
    page: Page, sandbox: Sandbox, xml: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    menu = page.get_by_role("navigation", name="Project")
    response = page.get_by_role("region", name="Text of the response")

    def picture(name: str) -> None:
        page.screenshot(path=pictures / f"walk-{name}.png")

    # A project of an XML, whose creator has no right to the API.
    page.goto(sandbox.pages_url)
    page.get_by_role("link", name="New Project").click()
    page.get_by_label("Project title").fill("Cervical cancer risk factors")
    page.get_by_label("Purpose of this project").select_option("Research")
    page.get_by_label("Upload a REDCap project XML file").set_input_files(xml)
    picture("new-project")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("status")).to_contain_text("The project was created")
    expect(menu.get_by_role("link", name="API")).to_have_count(0)

    # Rights, and a token.
    menu.get_by_role("link", name="User rights").click()
    page.get_by_role("link", name="Change the rights of sandbox").click()
    page.get_by_label("API export").check()
    page.get_by_label("API import").check()
    picture("user-rights")
    page.get_by_role("button", name="Save rights").click()
    expect(page.get_by_role("status")).to_contain_text("saved")
    page.reload()
    for name in ("API", "API Playground"):
        expect(menu.get_by_role("link", name=name, exact=True)).to_be_visible()
    menu.get_by_role("link", name="API Playground").click()
    generate = page.get_by_role("link", name="Generate a token")
    expect(generate).to_be_visible()
    expect(page.get_by_role("button", name="Execute")).to_have_count(0)
    generate.click()
    page.get_by_role("button", name="Generate API token").click()
    expect(page.get_by_role("status")).to_contain_text("created")
    picture("api")
    page.get_by_role("button", name="Show token").click()
    token = page.get_by_label("Token of sandbox").input_value()

    # The Playground, and its response.
    menu.get_by_role("link", name="API Playground").click()
    page.get_by_label("Method of the API").select_option("Export Records")
    page.wait_for_url("**method=Export+Records")
    page.get_by_label("Format format").select_option("csv")
    page.get_by_label("Type type").select_option("flat")
    picture("playground")
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_text("200 OK")).to_be_in_viewport()
    form = {"token": token, "content": "record", "format": "csv", "returnFormat": "json"}
    exported = requests.post(sandbox.url, form, timeout=120)
    assert response.text_content() == exported.text
    assert len(exported.text.splitlines()) == cervical.RECORDS + 1
    picture("response")
    assert find_accessibility_faults(page) == []
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save as records.csv").click()
    assert saving.value.path().read_bytes() == exported.content

    # Code of the same request.
    copied: dict[str, str] = {}
    for language, title in LANGUAGES.items():
        page.get_by_text(title, exact=True).click()
        page.get_by_role("button", name=f"Copy the code in {title}").click()
        expect(page.get_by_text("Copied.")).to_be_visible()
        copied[language] = page.evaluate("navigator.clipboard.readText()")
        assert copied[language] == page.locator(f"#text-{language}").text_content()
    page.locator("#code").scroll_into_view_if_needed()
    picture("code")
    monkeypatch.setenv("REDCAP_API_TOKEN", token)
    names: dict[str, object] = {}
    exec(copied["client"], names)  # noqa: S102
    assert len(names["result"]) == cervical.RECORDS  # type: ignore[arg-type]
    assert token not in page.content() + "".join(copied.values())

    # A token that is replaced, and a right that is taken away, are refused from then on.
    menu.get_by_role("link", name="API", exact=True).click()
    page.get_by_text("Regenerate the token").click()
    page.get_by_role("button", name="Regenerate API token").click()
    expect(page.get_by_role("status")).to_contain_text("replaced")
    assert requests.post(sandbox.url, form, timeout=120).status_code == 403
    page.get_by_role("button", name="Show token").click()
    form["token"] = page.get_by_label("Token of sandbox").input_value()
    assert requests.post(sandbox.url, form, timeout=120).text == exported.text
    menu.get_by_role("link", name="User rights").click()
    page.get_by_role("link", name="Change the rights of sandbox").click()
    page.get_by_label("API export").uncheck()
    page.get_by_role("button", name="Save rights").click()
    expect(page.get_by_role("status")).to_contain_text("saved")
    refused = requests.post(sandbox.url, form, timeout=120)
    menu.get_by_role("link", name="API Playground").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_text("403 Forbidden")).to_be_in_viewport()
    assert response.text_content() == refused.text
    picture("refused")
    assert problems == []
