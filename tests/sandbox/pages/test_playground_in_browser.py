"""The API Playground in a browser: by mouse, by keyboard alone, and without JavaScript."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.browser import find_accessibility_faults, open_browser
from tests.dictionary import field
from tests.sandbox.conftest import CLASSIC, CLASSIC_RECORDS

FIELDS = [field("id"), *(field(f"question_{n}", f"form_{n // 500}") for n in range(3000))]

FOCUSED = "((at) => (at.labels?.[0] ?? at).innerText)(document.activeElement)"
"""The label or the text of what has the focus."""


@pytest.fixture
def browser() -> Iterator[Browser]:
    with open_browser() as chromium:
        yield chromium


def open_playground(page: Page, sandbox: Sandbox, token: str) -> None:
    pid = REDCapClient(sandbox.url, token).export_project().info.project_id
    page.goto(sandbox.pages_url.replace("/?", f"/API/playground.php?pid={pid}&"))


@pytest.mark.slow
def test_the_request_follows_what_is_clicked(browser: Browser, sandbox: Sandbox) -> None:
    token = sandbox.add_project(exports={"metadata": FIELDS}, records=[{"id": "1"}, {"id": "2"}])
    page = browser.new_page(viewport={"width": 800, "height": 900})
    open_playground(page, sandbox, token)
    expect(page.get_by_role("button", name="Execute")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    fields, raw = page.get_by_label("Fields fields", exact=True), page.locator("#raw")
    page.get_by_role("searchbox", name="Filter: Fields").fill("question_2999")
    for name in ("id", "question_2999"):  # a click adds to what is chosen
        page.get_by_role("searchbox", name="Filter: Fields").fill(name)
        fields.locator(f"option[value={name}]").click()
    expect(page.get_by_text("2 of 3008 chosen.")).to_be_visible()
    expect(raw).to_contain_text("fields[1]")
    expect(page.locator("#text-requests")).to_contain_text('"fields[1]": "question_2999"')
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_role("region", name="Text of the response")).to_have_text(
        "id,question_2999\n1,\n2,\n"
    )
    expect(page.get_by_text("The parameters were changed since")).to_be_hidden()
    fields.locator("option[value=question_2999]").click()  # and another one takes it back
    expect(page.get_by_text("The parameters were changed since")).to_be_visible()
    expect(raw).not_to_contain_text("fields[1]")
    page.get_by_role("button", name="Choose none").click()
    expect(raw).not_to_contain_text("fields")

    page.get_by_label("Method of the API").click()
    page.get_by_label("Method of the API").select_option("Delete Records")
    expect(page.get_by_text("Delete Records changes this project.")).to_be_visible()
    assert find_accessibility_faults(page) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_a_keyboard_is_enough(browser: Browser, sandbox: Sandbox) -> None:
    token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    open_playground(page, sandbox, token)
    press = page.keyboard.press

    def go_to(name: str) -> None:
        for _ in range(60):
            press("Tab")
            if name in page.evaluate(FOCUSED):
                return
        pytest.fail(f"the keyboard does not reach {name}")

    go_to("Method of the API")
    opened = page.url
    page.keyboard.type("Export Meta")  # goes through the methods, and opens none
    assert page.url == opened
    go_to("Choose method")
    press("Enter")
    page.wait_for_url("**method=Export+Metadata*")
    go_to("Instruments")
    press("ArrowDown")
    press("Control+ArrowDown")
    press("Control+Space")
    expect(page.locator("#raw")).to_contain_text("forms[1]")
    go_to("Execute")
    press("Enter")
    expect(page.get_by_text("200 OK")).to_be_in_viewport()
    expect(page.get_by_role("region", name="Text of the response")).to_contain_text("scan,lab")
    go_to("Python (requests)")
    press("ArrowRight")
    expect(page.locator("#code-client")).to_be_visible()
    go_to("Copy")
    press("Enter")
    expect(page.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert 'export_metadata(forms=["visit", "lab"])' in copied


@pytest.mark.slow
def test_it_works_without_javascript(browser: Browser, sandbox: Sandbox) -> None:
    token = sandbox.add_project(exports=CLASSIC, records=CLASSIC_RECORDS)
    page = browser.new_context(java_script_enabled=False).new_page()
    open_playground(page, sandbox, token)
    page.get_by_label("Method of the API").select_option("Import File")
    page.get_by_role("button", name="Choose method").click()
    page.get_by_label("Record (required)").select_option("10")
    page.get_by_label("Field (required)").select_option("scan")
    file: FilePayload = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"scanned"}
    page.get_by_label("File (required)").set_input_files(file)
    page.get_by_text("curl", exact=True).click()
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_text("200 OK")).to_be_visible()
    expect(page.get_by_text("The response is empty.")).to_be_visible()
    expect(page.locator("#text-curl")).to_contain_text("a.txt")  # still the language chosen
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)

    page.get_by_label("Method of the API").select_option("Export File")
    page.get_by_role("button", name="Choose method").click()
    page.get_by_label("Record (required)").select_option("10")
    page.get_by_label("Field (required)").select_option("scan")
    page.get_by_role("button", name="Update request and code").click()
    expect(page.locator("#raw")).to_contain_text("scan")
    page.get_by_role("button", name="Execute").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save as a.txt").click()
    assert saving.value.path().read_bytes() == b"scanned"
