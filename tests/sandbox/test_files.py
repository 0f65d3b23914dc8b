"""Files of file fields."""

import pytest
import requests

from redcap_dagster.sandbox import Sandbox
from tests.dictionary import field
from tests.sandbox.conftest import LONGITUDINAL, Ask

FILE = field("scan", "drug", type="file")
SIGNED = field("signed", "drug", type="file", validation="signature")
WITH_FILE = LONGITUDINAL | {"metadata": [*LONGITUDINAL["metadata"], FILE, SIGNED]}


def sent(sandbox: Sandbox, token: str, name: str, content: bytes, **more: str) -> requests.Response:
    parameters = {"token": token, "content": "file", "action": "import", "format": "csv", **more}
    files = {"file": (name, content, "application/pdf")}
    return requests.post(sandbox.url, parameters, files=files, timeout=120)


@pytest.mark.parametrize("event", ["first_arm_1", "then_arm_1"])
def test_a_file_is_imported_exported_and_deleted(sandbox: Sandbox, ask: Ask, event: str) -> None:
    token = sandbox.add_project(exports=WITH_FILE)
    place = {"record": "7", "field": "scan", "event": event, "repeat_instance": "2"}
    done = sent(sandbox, token, "../é 1.pdf", b"%PDF\0", **place)
    assert (done.status_code, done.content) == (200, b"")
    got = ask(token, content="file", **place)
    assert got.content == b"%PDF\0"
    name = ".._é 1.pdf".encode().decode("latin-1")
    assert got.headers["content-type"] == f'application/pdf; name="{name}";charset=UTF-8'
    (row,) = ask(token, content="record", format="json").json()[-1:]
    assert (row["redcap_repeat_instance"], row["scan"]) == (2, ".._é 1.pdf")
    first = ask(token, content="file", **(place | {"repeat_instance": "1"}))
    assert first.status_code == 400
    assert first.text == "ERROR: There is no file to download for this record"
    assert ask(token, content="file", action="delete", **place).content == b""
    assert ask(token, content="file", **place).status_code == 400
    assert ask(token, content="record", format="json").json()[-1]["scan"] == ""


def test_refusals(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(exports=WITH_FILE)
    at = {"record": "1", "event": "first_arm_1"}
    no_field = ask(token, content="file", field="age", **at)
    assert no_field.text == "ERROR: The field 'age' does not exist or is not a 'file' field"
    assert no_field.status_code == 400
    for wrong in [
        sent(sandbox, token, "a", b"a", field="signed", **at),
        sent(sandbox, token, "a", b"a", field="scan", **(at | {"event": "first_arm_2"})),
        sent(sandbox, token, "a", b"a", field="scan", **at, repeat_instance="0"),
        sent(sandbox, token, "a", b"a", field="scan", record="1"),
        ask(token, content="file", action="import", field="scan", **at),
    ]:
        assert wrong.status_code == 400
    assert ask(token, content="record", format="json").json() == []


def test_a_file_belongs_to_its_record_and_group(sandbox: Sandbox, ask: Ask) -> None:
    token = sandbox.add_project(exports=WITH_FILE)
    place = {"record": "7", "field": "scan", "event": "first_arm_1"}
    sent(sandbox, token, "a.pdf", b"a", **place)
    sandbox.set_rights(token, {"data_access_group": "north"})
    assert ask(token, content="file", **place).status_code == 400
    sandbox.set_rights(token, {"data_access_group": ""})
    sandbox.delete_record(token, "7")
    assert ask(token, content="file", **place).status_code == 400
