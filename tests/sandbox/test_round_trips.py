"""Imports whose export is equal to the import."""

import csv
import json
from io import StringIO
from typing import Any
from xml.sax.saxutils import escape

import pytest
import requests
from defusedxml.ElementTree import fromstring
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.sandbox.conftest import CLASSIC, Ask, imported, rows_of

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\n\r\t"),
    min_size=1,
    max_size=40,
)
EDGES = ["=1+1", '"', '""x', "a,b;c", "\r\n", " x ", "\u202eabc", "🙂", "é" * 60_000, "]]>", "\\"]


@pytest.fixture(scope="module")
def notes() -> Any:
    with Sandbox() as sandbox:
        metadata = [
            field("id", "a"),
            field("note", "a", type="notes"),
            field("text", "a"),
        ]
        yield sandbox, sandbox.add_project(exports={"metadata": metadata})


def written(rows: list[dict[str, str]], shape: str) -> str:
    match shape:
        case "json":
            return json.dumps(rows)
        case "csv":
            out = StringIO(newline="")
            writer = csv.DictWriter(out, list(rows[0]), quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
            return out.getvalue()
        case _:
            items = [
                "".join(f"<{k}>{escape(v, {chr(13): '&#13;'})}</{k}>" for k, v in row.items())
                for row in rows
            ]
            return f"<records>{''.join(f'<item>{item}</item>' for item in items)}</records>"


def read(body: str, shape: str) -> list[dict[str, str]]:
    match shape:
        case "json":
            rows: list[dict[str, str]] = json.loads(body)
            return rows
        case "csv":
            return rows_of(body)
        case _:
            return [{cell.tag: cell.text or "" for cell in item} for item in fromstring(body)]


@pytest.mark.parametrize("shape", ["csv", "json", "xml"])
@pytest.mark.parametrize("kind", ["flat", "eav"])
@given(texts=st.lists(st.one_of(TEXTS, st.sampled_from(EDGES)), min_size=2, max_size=2))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_exported_as_it_was_imported(
    notes: Any, shape: str, kind: str, texts: list[str]
) -> None:
    sandbox, token = notes
    note, text = texts
    rows = [{"id": "1", "note": note, "text": text}]
    single = [
        {"record": "1", "field_name": "note", "value": note},
        {"record": "1", "field_name": "text", "value": text},
    ]
    asked = {"token": token, "content": "record", "format": shape, "type": kind}
    data = written(rows if kind == "flat" else single, shape)
    answer = requests.post(sandbox.url, asked | {"data": data}, timeout=120)
    assert answer.status_code == 200, answer.text
    body = requests.post(sandbox.url, asked, timeout=120).content.decode()
    if kind == "flat":
        assert read(body, shape) == [rows[0] | {"a_complete": "0"}]
    else:
        assert read(body, shape)[1:] == single


def test_xml_marks_what_it_cannot_hold(classic: str, ask: Ask) -> None:
    note = "a\x0b\x1b\ufffe\tb"
    imported(ask, classic, [{"id": "10", "note": note}])
    asked = {"content": "record", "records": "10", "fields": "note"}
    assert ask(classic, **asked, format="json").json()[0]["note"] == note
    (row,) = read(ask(classic, **asked, format="xml").content.decode(), "xml")
    assert row["note"] == "a\ufffd\ufffd\ufffd\tb"
    # So do errors, which quote the refused value.
    wrong = ask(classic, **asked | {"fields": "x\x0by"}, format="xml")
    assert "x\ufffdy" in str(fromstring(wrong.content).findtext("error"))


def test_what_was_exported_can_be_imported(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    asked = {"content": "record", "exportBlankForGrayFormStatus": "true"}
    names = "id,note,race,visit_complete,dose,drug_complete"
    body = ask(classic, **asked, fields=names).content.decode()
    copy = sandbox.add_project(exports=CLASSIC)
    assert imported(ask, copy, body, format="csv").text == "2"
    assert ask(copy, **asked, fields=names).content.decode() == body
