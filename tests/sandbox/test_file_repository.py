"""The file repository of a project."""

import requests

from redcap_dagster.sandbox import Sandbox
from tests.sandbox.conftest import CLASSIC, Ask

# -- repository -----------------------------------------------------------------------------------


def test_the_repository(classic: str, sandbox: Sandbox, ask: Ask) -> None:
    def repository(action: str, **more: str) -> requests.Response:
        return ask(classic, content="fileRepository", action=action, format="json", **more)

    assert repository("list").json() == []
    (made,) = repository("createFolder", name="Scans").json()
    folder = str(made["folder_id"])
    parameters = {"token": classic, "content": "fileRepository", "action": "import"}
    sent = requests.post(
        sandbox.url,
        parameters | {"folder_id": folder, "format": "json"},
        files={"file": ("../../a.txt", b"\0text", "text/plain")},
        timeout=120,
    )
    assert (sent.status_code, sent.content) == (200, b"")
    assert repository("list").json() == [{"folder_id": int(folder), "doc_id": "", "name": "Scans"}]
    (listed,) = repository("list", folder_id=folder).json()
    assert (listed["folder_id"], listed["name"]) == ("", ".._.._a.txt")
    document = str(listed["doc_id"])
    got = repository("export", doc_id=document)
    assert got.content == b"\0text"
    assert got.headers["content-type"] == 'text/plain; name=".._.._a.txt";charset=UTF-8'
    assert repository("delete", doc_id=document).content == b""
    assert repository("export", doc_id=document).status_code == 400
    missing = repository("list", folder_id="99")
    assert missing.status_code == 400
    assert missing.json()["error"].startswith("The File Repository folder folder_id=99 does not")
    assert repository("createFolder", name="a" * 151).status_code == 400
    other = sandbox.add_project(exports=CLASSIC)
    theirs = ask(other, content="fileRepository", action="list", folder_id=folder)
    assert theirs.status_code == 400
    sandbox.set_rights(classic, {"file_repository": 0})
    assert repository("list").status_code == 400
