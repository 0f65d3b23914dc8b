"""The API Playground sends the request that it shows, and the API handles it as any other."""

import html
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from requests import Response

from redcap_dagster.api.snippets import LANGUAGES, METHODS, find_method, snippet, write_request
from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.sandbox.conftest import CLASSIC, CLASSIC_RECORDS, Ask, row
from tests.sandbox.pages.conftest import Visitor, error_of

EXPORT = "Export Records"
DATA = 'id,note\n11,"a\n<b>"\n'
PLACE = {"record": "9", "field": "scan"}
EVENTS: dict[str, Any] = {
    "metadata": [field("id"), field("age", label="Age\nin years")],
    "event": [{"event_name": "First", "arm_num": 1, "unique_event_name": "first_arm_1"}],
    "arm": [{"arm_num": 1, "name": "One"}],
    "formEventMapping": [{"arm_num": 1, "unique_event_name": "first_arm_1", "form": "visit"}],
}

Form = Mapping[str, str | list[str]]


class Playground:
    """The API Playground of a new project."""

    def __init__(self, sandbox: Sandbox, **project: Any) -> None:
        self.sandbox = sandbox
        self.visitor = Visitor(sandbox)
        self.token = sandbox.add_project(
            **{"exports": CLASSIC, "records": CLASSIC_RECORDS} | project
        )
        info = self.ask({"content": "project", "format": "json"}).json()
        self.path = f"/redcap_v14.7.3/API/playground.php?pid={info['project_id']}"

    def ask(self, request: Mapping[str, str], **options: Any) -> Response:
        """Send a request to the API, as a program would."""
        sent = {"token": self.token, **request}
        return requests.post(self.sandbox.url, sent, timeout=120, **options)

    def open(self, title: str = EXPORT) -> Response:
        return self.visitor.get(f"{self.path}&{urlencode({'method': title})}")

    def use(
        self, title: str = EXPORT, form: Form | None = None, action: str = "execute", **options: Any
    ) -> Response:
        sent: dict[str, Any] = {"action": action, **(form or {})}
        return self.visitor.post(f"{self.path}&{urlencode({'method': title})}", sent, **options)


@pytest.fixture
def playground(sandbox: Sandbox) -> Playground:
    return Playground(sandbox)


def status_of(page: Response) -> int:
    """Return the HTTP status of the API's response on a page; 0 if there is none."""
    found = re.search('<dd class="(?:good|bad)">([0-9]+)', page.text)
    return int(found[1]) if found else 0


def text_of(page: Response) -> str:
    """Return the text of the API's response on a page."""
    text = page.content.decode()
    found = re.search(r'<pre class="body"[^>]*>\n(.*?)</pre>', text, re.S)
    if found:
        return html.unescape(found[1])
    assert "The response is empty." in text
    return ""


def request_of(page: Response) -> dict[str, str]:
    """Return the raw parameters that a page shows."""
    (table,) = re.findall('<tbody id="raw"[^>]*>(.*?)</tbody>', page.text, re.S)
    cells = re.findall(r"<code>(.*?)</code></th><td[^>]*>(.*?)</td>", table, re.S)
    return {html.unescape(name): html.unescape(value) for name, value in cells}


def code_of(page: Response) -> dict[str, str]:
    found = re.findall(r'<pre id="text-(\w+)"[^>]*>\n(.*?)</pre>', page.text, re.S)
    return {language: html.unescape(code) for language, code in found}


# -- the same as the API --------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.title)
def test_every_method_gets_the_response_of_the_api(
    method: Any, playground: Playground, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    opened = playground.open(method.title)
    assert opened.status_code == 200
    request = write_request(method, {})
    assert request_of(opened) == {"token": "****", **request}
    direct = playground.ask(request)
    sent = len(playground.sandbox.requests)
    page = playground.use(method.title)
    (handled,) = playground.sandbox.requests[sent:]
    assert handled == playground.sandbox.requests[sent - 1]
    assert status_of(page) == direct.status_code
    assert direct.headers["content-type"] in html.unescape(page.text)
    # Each request is logged, so that the second export of the log has one entry more.
    shown = direct.text in text_of(page) or method.title == "Export Logging"
    assert shown
    reads = method.action in ("export", "list")
    assert ("changes this project" in page.text) != reads
    saved = playground.use(method.title, action="save")
    assert saved.status_code == (200 if reads else 400)
    for text in (opened.text, page.text, saved.text, page.url, caplog.text):
        assert playground.token not in text


@pytest.mark.parametrize(
    ("title", "form", "values"),
    [
        (EXPORT, {"records[]": ["9", "10"]}, {}),
        (EXPORT, {"records": "9\r\n\r\n 10 \r\n"}, {"records": ["9", "10"]}),
        (EXPORT, {"fields[]": ["id", "dose"], "type": "eav"}, {}),
        (EXPORT, {"format": "xml", "rawOrLabel": "label"}, {}),
        (EXPORT, {"exportSurveyFields": "1"}, {"exportSurveyFields": True}),
        (EXPORT, {"rawOrLabel": "raw", "decimalCharacter": ""}, {"rawOrLabel": ""}),
        (EXPORT, {"fields[]": ["nothing"]}, {}),
        (EXPORT, {"filterLogic": '[id] < 10 and "<b>" <> "&"'}, {}),
        ("Export Survey Link", {"record": "9", "instrument": "visit"}, {}),
        ("Export Reports", {"report_id": "77"}, {}),
        ("Import Records", {"data": 'id,"none"\r\n1,2\r\n'}, {"data": 'id,"none"\n1,2\n'}),
        ("Delete Records", {"records[]": ["77"]}, {}),
    ],
)
def test_chosen_parameters_are_those_of_the_request_and_the_code(
    playground: Playground, title: str, form: Form, values: dict[str, Any]
) -> None:
    """The values are those of the form, but for those that it spells in another way."""
    values = {name.removesuffix("[]"): value for name, value in form.items()} | values
    request = write_request(find_method(title), values)
    shown = playground.use(title, form, "show")
    page = playground.use(title, form)
    direct = playground.ask(request)
    assert status_of(shown) == 0
    assert (status_of(page), text_of(page)) == (direct.status_code, direct.text)
    for each in (shown, page):
        assert request_of(each) == {"token": "****", **request}
        for language in LANGUAGES:
            url = playground.sandbox.url
            code = snippet(find_method(title), values, language, url=url)
            assert code_of(each).get(language) == code
    # What was chosen stays chosen, so that the next request is the same.
    chosen = re.findall(r'<option value="([^"]*)" selected', page.text)
    assert {*form.get("records[]", []), *form.get("fields[]", [])} - {"nothing", "77"} <= {*chosen}


@pytest.mark.parametrize("redcap_dialect", ["php", "newer", "foreign"])
def test_a_server_that_differs_differs_in_the_playground(sandbox: Sandbox) -> None:
    names = [f"f{number}" for number in range(1200)]
    exports = {"metadata": [field("id"), *map(field, names)]}
    records = [{"id": "1", "f0": "é\u00a0", "f1199": "lost by PHP"}]
    playground = Playground(sandbox, exports=exports, records=records)
    values = {"fields": ["id", *names]}
    direct = playground.ask(write_request(find_method(EXPORT), values))
    saved = playground.use(form={"fields[]": values["fields"]}, action="save")
    assert (saved.status_code, saved.content) == (200, direct.content)
    refused = playground.ask(write_request(find_method(EXPORT), {"fields": ["no"]}))
    page = playground.use(form={"fields[]": ["no"]})
    assert (status_of(page), text_of(page)) == (refused.status_code, refused.text)


@pytest.mark.parametrize(
    "rights",
    [
        {"api_export": 0},
        {"api_import": 0},
        {"forms_export": {"visit": 2}},
        {"forms_export": {"visit": 0, "lab": 0, "drug": 0}},
        {"data_access_group": "north"},
        {"record_delete": 0, "logging": 0, "user_rights": 0, "data_access_groups": 0, "design": 0},
    ],
)
def test_rights_are_those_of_the_api(playground: Playground, rights: Any) -> None:
    playground.sandbox.set_rights(playground.token, rights)
    for title, form, values in (
        (EXPORT, {}, {}),
        (EXPORT, {"fields[]": ["note"]}, {"fields": ["note"]}),
        ("Import Records", {"data": "id,note\n10,b\n"}, {"data": "id,note\n10,b\n"}),
        ("Delete Records", {"records[]": ["77"]}, {"records": ["77"]}),
        ("Export Users", {}, {}),
        ("Export DAGs", {}, {}),
        ("Import Arms", {"data": "arm_num,name\n"}, {"data": "arm_num,name\n"}),
    ):
        page = playground.use(title, form)
        direct = playground.ask(write_request(find_method(title), values))
        assert (status_of(page), text_of(page)) == (direct.status_code, direct.text)


def test_without_a_right_to_the_api_there_is_no_page(playground: Playground) -> None:
    playground.sandbox.set_rights(playground.token, {"api_export": 0, "api_import": 0})
    sent = len(playground.sandbox.requests)
    for refused in (playground.open(), playground.use(), playground.use(action="save")):
        assert (refused.status_code, "User rights" in error_of(refused)) == (403, True)
    assert len(playground.sandbox.requests) == sent


def test_without_a_token_the_page_leads_to_one(playground: Playground) -> None:
    api = playground.path.replace("playground", "project_api")
    playground.visitor.post(api, {"action": "delete"})
    page = playground.open()
    assert page.status_code == 200
    assert f'href="{api.replace("&", "&amp;")}"' in page.text.split("<main")[1]
    assert 'value="execute"' not in page.text
    assert status_of(playground.use(action="show")) == 0
    refused = playground.use()
    assert (refused.status_code, "Generate one" in error_of(refused)) == (409, True)


# -- changes, files, what is saved ----------------------------------------------------------------


def test_an_import_and_its_undoing(playground: Playground) -> None:
    def list_notes() -> list[str]:
        rows = playground.ask({"content": "record", "format": "json", "records[0]": "11"}).json()
        return [row["note"] for row in rows]

    page = playground.use("Import Records", {"data": DATA.replace("\n", "\r\n")})
    assert (status_of(page), text_of(page)) == (200, '{"count":1}')
    assert list_notes() == ["a\n<b>"]
    assert html.escape(DATA.rstrip(), quote=False) in page.text.replace("&#34;", '"')
    assert playground.use("Import Records", {"data": DATA}, "save").status_code == 400
    assert status_of(playground.use("Delete Records", {"records[]": ["11"]})) == 200
    assert list_notes() == []


def test_a_file_is_sent_and_comes_back(playground: Playground) -> None:
    content = b'\x00\xff<a "b">'
    files = {"file": ("ä b.bin", content, "application/octet-stream")}
    page = playground.use("Import File", PLACE, files=files)
    assert (status_of(page), request_of(page)["file"]) == (200, "the file ä b.bin")
    assert "ä b.bin" in code_of(page)["client"]
    exported = playground.use("Export File", PLACE)
    assert "The response is a file." in exported.text
    assert "Save as ä b.bin" in exported.text
    assert 'name="ä b.bin"' in html.unescape(exported.text)
    assert f"{len(content)} bytes" in exported.text
    saved = playground.use("Export File", PLACE, "save")
    assert saved.content == content
    assert saved.headers["content-disposition"].endswith("%C3%A4%20b.bin")
    # A browser sends a file without a name if none was chosen.
    none = {"file": ("", b"", "application/octet-stream")}
    assert status_of(playground.use("Import File", PLACE, files=none)) == 400
    assert playground.use("Export File", PLACE, "save").content == content


def test_what_is_saved_is_the_response(playground: Playground) -> None:
    saved = playground.use(form={"format": "json", "records[]": ["9"]}, action="save")
    direct = playground.ask({"content": "record", "format": "json", "records[0]": "9"})
    assert saved.content == direct.content
    assert saved.headers["content-type"] == direct.headers["content-type"]
    assert saved.headers["content-disposition"] == "attachment; filename*=utf-8''records.json"
    assert saved.headers["x-content-type-options"] == "nosniff"
    refused = playground.use(form={"fields[]": ["nothing"]}, action="save")
    assert ("content-disposition" in refused.headers, status_of(refused)) == (False, 400)
    # The form that saves sends what was executed.
    page = playground.use(
        form={"records[]": ["9"], "filterLogic": '"<"', "exportSurveyFields": "1"}
    )
    form = page.text.partition('id="response"')[2].partition("</form>")[0]
    hidden = re.findall('type="hidden" name="([^"]+)" value="([^"]+)"', form)
    sent = {name: html.unescape(value) for name, value in hidden if name != "csrf"}
    assert request_of(playground.use(form=sent, action="show")) == request_of(page)


def test_a_long_response_is_cut_on_the_page_alone(sandbox: Sandbox) -> None:
    exports = {"metadata": [field("id"), field("note", type="notes")]}
    records = [{"id": str(number), "note": "é" * 3000} for number in range(100)]
    playground = Playground(sandbox, exports=exports, records=records)
    direct = playground.ask(write_request(find_method(EXPORT), {}))
    page = playground.use()
    assert text_of(page) == direct.content.decode()[:200_000]
    assert "first 200,000 characters" in page.text
    assert f"{len(direct.content):,} bytes" in page.text
    assert "<dd>101</dd>" in page.text
    assert playground.use(action="save").content == direct.content


# -- menus ----------------------------------------------------------------------------------------


def entries_of(page: Response, parameter: str) -> list[str]:
    """Return the values of a menu."""
    found = re.search(f'<select[^>]*id="p-{parameter}".*?</select>', page.text, re.S)
    return re.findall('<option value="([^"]+)"', found[0]) if found else []


def test_menus_have_the_names_of_the_project(sandbox: Sandbox) -> None:
    records = [row("first_arm_1", "", "", age="3", redcap_data_access_group="north")]
    playground = Playground(sandbox, exports=EVENTS, records=records)
    sandbox.add_user(playground.token, "ann")
    report = sandbox.add_report(playground.token, ["age"])
    playground.use("Import User Roles", {"data": "unique_role_name,role_label\n,Nurse\n"})
    page = playground.open()
    for name, entries in (
        ("records", ["1"]),
        ("events", ["first_arm_1"]),
        ("forms", ["visit"]),
        ("fields", ["id", "age", "visit_complete"]),
        ("format", ["csv", "json", "xml", "odm"]),
    ):
        assert entries_of(page, name) == entries
    assert "age: Age in years<" in page.text
    for title, name, entries in (
        ("Delete Arms", "arms", ["1"]),
        ("Delete Users", "users", ["ann", "sandbox"]),
        ("Delete DAGs", "dags", ["north"]),
        ("Export Reports", "report_id", [str(report)]),
    ):
        assert entries_of(playground.open(title), name) == entries
    (role,) = entries_of(playground.open("Delete User Roles"), "roles")
    assert role.startswith("U-")
    classic = Playground(sandbox)
    assert entries_of(classic.open("Export File"), "field") == ["scan"]
    assert "does not have any" in classic.open().text


@pytest.mark.parametrize(
    ("rights", "shown"),
    [
        ({}, ["1", "2"]),
        ({"data_access_group": "north"}, ["1"]),
        ({"forms_export": {"visit": 3}}, []),
        ({"forms_export": {"visit": 0}}, []),
        ({"api_export": 0}, []),
    ],
)
def test_menus_show_no_more_than_the_api(sandbox: Sandbox, rights: Any, shown: list[str]) -> None:
    exports = {"metadata": [field("id", identifier="y"), field("dose")]}
    records = [
        {"id": "1", "redcap_data_access_group": "north"},
        {"id": "2", "redcap_data_access_group": "south"},
    ]
    playground = Playground(sandbox, exports=exports, records=records)
    sandbox.set_rights(playground.token, rights)
    page = playground.open()
    assert entries_of(page, "records") == shown
    assert ('<textarea id="p-records"' in page.text) == (not shown)
    sandbox.set_rights(playground.token, {"user_rights": 0, "data_access_groups": 0})
    for title, name in (("Delete Users", "users"), ("Delete DAGs", "dags")):
        assert f'<textarea id="p-{name}"' in playground.open(title).text
    assert "south" not in playground.open("Switch DAG").text


def test_menus_of_a_large_project(sandbox: Sandbox) -> None:
    names = [f"question_{number}" for number in range(3000)]
    exports = {"metadata": [field("id"), *(field(name, label=f"Label {name}") for name in names)]}
    records = [{"id": str(number)} for number in range(5001)]
    playground = Playground(sandbox, exports=exports, records=records)
    page = playground.use(form={"fields[]": ["id", "question_2999"], "records": "7"}, action="show")
    assert len(entries_of(page, "fields")) == 3002
    assert '<option value="question_2999" selected' in page.text
    assert len(page.content) < 600_000
    assert '<textarea id="p-records"' in page.text  # too many for a menu
    assert request_of(page)["records[0]"] == "7"


# -- odd requests ---------------------------------------------------------------------------------


def test_only_a_form_of_the_page_sends_a_request(playground: Playground, ask: Ask) -> None:
    sent = len(playground.sandbox.requests)
    query = urlencode({"method": "Delete Records", "action": "execute", "records[]": "9"})
    assert status_of(playground.visitor.get(f"{playground.path}&{query}")) == 0
    forged = {"action": "execute", "csrf": "x", "records[]": "9"}
    assert playground.visitor.post(f"{playground.path}&{query}", forged).status_code == 403
    assert len(playground.sandbox.requests) == sent
    assert "9" in ask(playground.token, content="record").text


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"format": "pdf"}, "format: must be one of"),
        ({"filterLogic": "a\0b"}, "NUL"),
        ({"action": "steal"}, "does not know"),
        ({"action": ""}, "does not know"),
    ],
)
def test_an_odd_form_ends_in_a_sentence(
    playground: Playground, form: dict[str, str], sentence: str
) -> None:
    sent = len(playground.sandbox.requests)
    page = playground.use(form=form)
    assert (page.status_code, sentence in error_of(page)) == (400, True)
    assert len(playground.sandbox.requests) == sent


def test_a_method_that_is_none(playground: Playground) -> None:
    assert playground.open("Export Everything").status_code == 404
    assert "Export Records</option>" in playground.visitor.get(playground.path).text


def test_html_of_a_response_and_a_form_is_text(sandbox: Sandbox) -> None:
    bad = "\n</pre></textarea><script>alert(1)</script>{{ 7 * 7 }}\"'"
    exports = {
        "metadata": [field("id"), field("note", type="notes", label=bad)],
        "instrument": [{"instrument_name": "visit", "instrument_label": bad}],
    }
    playground = Playground(sandbox, exports=exports, records=[{"id": "</pre>1", "note": bad}])
    page = playground.use(form={"records[]": ["</pre>1", bad]})
    assert status_of(page) == 200
    assert json.dumps(bad)[1:-1] not in page.text
    imported = playground.use("Import Records", {"data": bad, "format": "json"})
    for shown in (page, imported):
        assert "<script>alert" not in shown.text
    # Browsers drop the first newline of an element's text.
    entered = re.search(r'<textarea id="p-data".*?>\n(.*?)</textarea>', imported.text, re.S)
    assert entered
    assert html.unescape(entered[1]) == bad
    assert code_of(imported)["requests"] == snippet(
        find_method("Import Records"), {"data": bad, "format": "json"}, "requests", url=sandbox.url
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda playground: playground.use("Delete Users", {"users[]": ["sandbox"]}),
        lambda playground: playground.use(
            "Import Users", {"data": "username,api_export,api_import\nsandbox,0,0\n"}
        ),
        lambda playground: playground.use(
            "Import Metadata (Data Dictionary)",
            {"data": "field_name,form_name,field_type,field_label\nid,visit,text,Id\n"},
        ),
    ],
)
def test_a_request_that_changes_what_the_page_shows(
    playground: Playground, change: Callable[[Playground], Response]
) -> None:
    page = change(playground)
    assert (page.status_code, status_of(page)) == (200, 200)
