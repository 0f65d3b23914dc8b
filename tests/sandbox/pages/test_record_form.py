"""A record's form: links of assets open it, and it shows what the API would export."""

import html
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from requests import Response

from redcap_dagster.api import REDCapClient
from redcap_dagster.project import build_page_url
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.tables import CleaningRules, clean, list_invalid_values, split_by_instrument
from tests.dictionary import field
from tests.sandbox.conftest import LONGITUDINAL, row
from tests.sandbox.pages.conftest import Visitor, error_of

ODD = "&+/ é#?<b>'\""
INVALID: dict[str, Any] = {
    **LONGITUDINAL,
    "metadata": [
        field("id"),
        field("age", validation="integer"),
        field("dose", "drug", validation="integer"),
    ],
}
INVALID_RECORDS = [
    row("first_arm_1", "", "", age="no 1") | {"id": ODD},
    row("first_arm_1", "drug", 3, dose="no 2"),
    row("then_arm_1", "", 2, dose="no 3"),
]
IDENTIFYING: dict[str, Any] = {
    "metadata": [
        field("id"),
        field("born", validation="date_ymd"),
        field("name", identifier="y"),
        field("sex", type="radio", choices="1, A | 2, B"),
        field("race", type="checkbox", choices="1, A | 2, B", identifier="y"),
        field("dose", "drug"),
    ]
}
PERSON: dict[str, object] = {
    "id": "1",
    "born": "2000-02-01",
    "name": "Canary",
    "sex": "2",
    "race___1": "1",
    "visit_complete": "1",
    "dose": "7",
    "redcap_data_access_group": "north",
}


def cells_of(page: str) -> dict[str, list[str]]:
    """Return values and meanings of each field that a form shows."""
    rows = re.findall(r'<tr id="([^"]*)-tr">(.*?)</tr>', page, re.S)
    return {
        name: [
            html.unescape(re.sub(r"<[^>]*>", " ", cell)).strip()
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells, re.S)[:2]
        ]
        for name, cells in rows
    }


class Form:
    """The form of records of a new project."""

    def __init__(
        self,
        sandbox: Sandbox,
        exports: dict[str, Any],
        records: Sequence[dict[str, object]],
        **rights: Any,
    ) -> None:
        self.visitor = Visitor(sandbox)
        self.token = sandbox.add_project(exports=exports, records=records, rights=rights)
        self.client = REDCapClient(sandbox.url, self.token)
        self.project = self.client.export_project()

    def get(self, page: str = "visit", record: str = "1", **query: object) -> Response:
        asked = {"pid": self.project.info.project_id, "page": page, "id": record} | query
        return self.visitor.get(f"/redcap_v14.7.3/DataEntry/index.php?{urlencode(asked)}")


def test_links_of_invalid_values_open_the_value(sandbox: Sandbox) -> None:
    form = Form(sandbox, INVALID, INVALID_RECORDS)
    records = split_by_instrument(form.client.export_records_table(), form.project)
    opened = []
    for name, table in records.items():
        cleaned = clean(table, name, form.project, CleaningRules())
        found = list_invalid_values(cleaned, table, name, form.project, sandbox.url)
        for value in found.to_pylist():
            page = form.visitor.session.get(value["link"], timeout=120)
            assert page.status_code == 200
            assert cells_of(page.text)[value["field_name"]] == [value["value"], ""]
            opened.append(value["value"])
    assert sorted(opened) == ["no 1", "no 2", "no 3"]
    home = build_page_url(sandbox.url, form.project) or ""
    assert "Project home" in form.visitor.session.get(home, timeout=120).text


def test_a_form_shows_values_and_their_meaning(sandbox: Sandbox) -> None:
    form = Form(sandbox, IDENTIFYING, [PERSON, {"id": "2", "dose": "8"}])
    assert cells_of(form.get().text) == {
        "born": ["2000-02-01", ""],
        "name": ["Canary", ""],
        "sex": ["2", "B"],
        "race": ["1", "A"],
        "visit_complete": ["1", "Unverified"],
    }
    assert cells_of(form.get("drug", "2").text)["dose"] == ["8", ""]
    assert cells_of(form.get("visit", "2").text)["visit_complete"] == ["blank", ""]


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_form_shows_what_the_api_exports(sandbox: Sandbox, level: int) -> None:
    form = Form(sandbox, IDENTIFYING, [PERSON], forms_export={"visit": level})
    exported = form.client.export_records(forms=["visit"], fields=["id"])
    page = form.get()
    shown = {name: value for name, (value, _) in cells_of(page.text).items()}
    names = {name.partition("___")[0] for name in exported.columns} - {"id"}
    assert shown.keys() == names
    assert {shown[name] for name in names - {"race"}} == set(exported[[*names - {"race"}]].iloc[0])
    assert ("Canary" in page.text) == (level == 1)
    assert ("rights hide" in page.text) == (level != 1)


@pytest.mark.parametrize(
    ("rights", "status"),
    [
        ({"forms_export": {"visit": 0}}, 403),
        ({"forms": {"visit": 0}}, 403),
        ({"forms": {"visit": 128}}, 403),
        ({"data_access_group": "south"}, 404),
        ({"expiration": "2000-01-01"}, 403),
        ({"data_access_group": "north", "forms": {"visit": 2}, "api_export": 0}, 200),
    ],
)
def test_rights_refuse_a_form(sandbox: Sandbox, rights: dict[str, Any], status: int) -> None:
    form = Form(sandbox, IDENTIFYING, [PERSON, {**PERSON, "id": "2"}])
    sandbox.set_rights(form.token, rights)
    page = form.get()
    assert (page.status_code, "Canary" in page.text) == (status, status == 200)
    assert bool(error_of(page)) == (status != 200)
    if status == 404:  # Whether the record exists is not told either.
        assert error_of(page) == error_of(form.get(record="3"))


@pytest.mark.parametrize("level", [2, 3])
def test_hidden_record_ids_open_no_form(sandbox: Sandbox, level: int) -> None:
    exports = {"metadata": [field("id", identifier="y"), field("dose")]}
    form = Form(sandbox, exports, [{"id": "1", "dose": "canary"}], forms_export={"visit": level})
    assert form.get().status_code == form.get(record="2").status_code == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"record": ""}, 400),
        ({"record": "2"}, 404),
        ({"record": "\x00"}, 404),
        ({"record": "a" * 5000}, 404),
        ({"page": "nothing"}, 404),
        ({"page": ""}, 404),
        ({"page": "visit,drug"}, 404),
        ({"page": "drug", "instance": -1}, 400),
        ({"page": "drug", "instance": 0}, 400),
        ({"page": "drug", "instance": "x"}, 400),
        ({"page": "drug", "instance": "²"}, 400),
        ({"page": "drug", "instance": ""}, 400),
        ({"page": "drug", "instance": "9" * 5000}, 400),
        ({"page": "drug", "instance": 4}, 404),
        ({"page": "drug", "instance": 3}, 200),
        ({"instance": 2}, 404),
        ({"instance": 1}, 200),
        ({"event_id": 8}, 404),
        ({"event_id": "x"}, 404),
        ({"pid": ""}, 404),
        ({"pid": -1}, 404),
        ({"pid": "1 or 1=1"}, 404),
        ({}, 200),
    ],
)
def test_an_odd_address_ends_in_a_sentence(
    sandbox: Sandbox, query: dict[str, Any], status: int
) -> None:
    records = [row("first_arm_1", "", "", age="5"), row("first_arm_1", "drug", 3, dose="6")]
    page = Form(sandbox, INVALID, records).get(**query)
    assert page.status_code == status
    assert error_of(page).endswith(".") == (status != 200)


def test_html_in_a_project_is_text(sandbox: Sandbox) -> None:
    bad = "</td><script>alert(1)</script>{{ 7 * 7 }}"
    exports = {
        "metadata": [
            field("id", label=bad),
            field("sex", type="radio", label=bad, choices=f"1, {bad}", section_header=bad),
        ],
        "instrument": [{"instrument_name": "visit", "instrument_label": bad}],
        "project": {"project_title": bad, "project_notes": bad},
    }
    form = Form(sandbox, exports, [{"id": bad, "sex": "1", "redcap_data_access_group": bad}])
    pid = form.project.info.project_id
    paths = ("/", f"/index.php?pid={pid}", f"/UserRights/index.php?pid={pid}&user=sandbox")
    pages = [form.get(record=bad), *map(form.visitor.get, paths)]
    for page in pages:
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert bad in html.unescape(page.text)
    assert cells_of(pages[0].text)["sex"] == ["1", bad]


def test_the_field_of_a_link_is_in_view(sandbox: Sandbox) -> None:
    form = Form(sandbox, IDENTIFYING, [PERSON])
    page = form.get(fldfocus="sex")
    assert (page.status_code, urlsplit(page.url).fragment) == (200, "sex")
    assert '<th scope="row" id="sex">' in page.text
    assert "fldfocus" not in page.url
    assert form.get(fldfocus="\r\nx").status_code == 200


def test_two_projects_with_one_id(sandbox: Sandbox) -> None:
    exports = {**IDENTIFYING, "project": {"project_id": 987_654}}
    form, other = Form(sandbox, exports, []), Form(sandbox, exports, [])
    assert (form.get().status_code, error_of(form.get())[:10]) == (409, "2 projects")
    new = Form(sandbox, IDENTIFYING, [])
    assert (new.project.info.project_id or 0) > 987_654
    assert other.project.info.project_id == form.project.info.project_id
