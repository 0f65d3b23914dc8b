"""Files: their names and bytes, and that none leaves the folder it is saved to."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from redcap_dagster.api import (
    EmptyResponseError,
    ErrorBodyError,
    FileTooLargeError,
    MalformedResponseError,
    NetworkError,
    REDCapClient,
    REDCapError,
    REDCapFile,
    WebPageError,
)
from redcap_dagster.api.calls.file_response import make_safe_name
from tests.fake_server import CANARY, TOKEN, Reply, Server

JPEG = "image/jpeg; name={};charset=UTF-8"
CONTENT = b'\xff\xd8{"error":"this is a file"}\n\x00' * 3000


def named(name: str, body: bytes = CONTENT, end: str = "whole") -> Reply:
    """Answer with a file, whose name goes over the wire as UTF-8."""
    header = JPEG.format(f'"{name}"').encode().decode("latin-1")
    return Reply(body, headers={"Content-Type": header}, end=end)


@pytest.mark.parametrize("name", ["mugshot-1.jpg", "Größe 2.jpg", "a'b (1).jpg"])
def test_a_file_has_name_type_and_bytes(name: str, server: Server, client: REDCapClient) -> None:
    server.say("file", named(name))

    file = client.files.export("1", "scan", event="e_arm_1", repeat_instance=3)

    assert file == REDCapFile(name, "image/jpeg", CONTENT)
    assert name not in repr(file)
    [asked] = server.asked("file")
    assert {"record": "1", "event": "e_arm_1", "repeat_instance": "3"}.items() <= asked.items()


PAGE = b"\r\n<!DOCTYPE html>\n<html><body>Please log in</body></html>"
PHP_TEXT = b"PHP Fatal error:  Uncaught Error in /var/www/a.php:3"
COMMENT = b"<?xml version='1.0'?>\n<!-- <x> --><!----> <html><body>down</body></html>"
AS_LIST = b'[{"error":"Something new"}]'
LONG = b'{"error":"' + b"x" * 200_000 + b'"}'
PHP = b"<br />\n<b>Warning</b>:  fopen(): failed<br />\n%PDF-1.7"
AS_JSON = b'{"error":"Something new"}'
AS_XML = b'<?xml version="1.0" encoding="UTF-8" ?><hash><error>new</error></hash>'
AS_TEXT = b"ERROR: Something new"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.json", AS_JSON),
        ("a.xml", AS_XML),
        ("a.svg", AS_XML),
        ("a.log.txt", AS_TEXT),
        ("a.html", PAGE),
        ("a.log.txt", PHP_TEXT),
        ("a.dat", b"<binary>"),
        ("a.dat", b"{"),
        ("a.dat", b""),
        ("a.csv", b"The connection of the parts is lost"),
        ("a.jpg", b"\x00 is no text"),
        ("a.pdf", b"junk\n%PDF-1.4 of letters alone"),
    ],
)
def test_what_looks_like_an_error_may_be_a_file(
    name: str, body: bytes, server: Server, client: REDCapClient
) -> None:
    kind = {"Content-Type": f'application/octet-stream; name="{name}"'}
    server.say("file", Reply(body, headers=kind))

    assert client.files.export("1", "scan").content == body


@pytest.mark.parametrize("name", ["scan.jpg", "scan", "scan.pdf", "notes.txt", "table.csv"])
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (PAGE, WebPageError),
        (PHP, WebPageError),
        (AS_JSON, ErrorBodyError),
        (AS_XML, ErrorBodyError),
        (AS_TEXT, ErrorBodyError),
        (AS_LIST, ErrorBodyError),
        (LONG, ErrorBodyError),
        (COMMENT, WebPageError),
        (PHP_TEXT, WebPageError),
        (PAGE.decode().encode("utf-16"), WebPageError),
    ],
)
def test_an_error_with_the_headers_of_a_file_is_not_one(
    name: str,
    body: bytes,
    error: type[REDCapError],
    server: Server,
    client: REDCapClient,
    tmp_path: Path,
) -> None:
    if body in (AS_TEXT, PHP_TEXT) and name.endswith(".txt"):
        return  # a text may begin so
    saves: dict[str, Callable[[], Path]] = {
        "file": lambda: client.files.save(tmp_path, "1", "scan"),
        "fileRepository": lambda: client.repository.save(tmp_path, 4),
        "pdf": lambda: client.pdfs.save(tmp_path, all_records=True),
    }
    for content, save in saves.items():
        server.say(content, named(name, body))

        with pytest.raises(error):
            save()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["scan.jpg", "SCAN.PNG", "scan.pdf", "all.docx", "scan.tiff"])
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"Connection lost", MalformedResponseError),
        (b"x" * 100_000 + "ü".encode(), MalformedResponseError),
        ("ü".encode() * 40_000, MalformedResponseError),
        (b"The connection to the database failed, try later.", MalformedResponseError),
        (b" \n", EmptyResponseError),
        (b"", EmptyResponseError),
    ],
)
def test_a_text_is_neither_an_image_nor_a_pdf(
    name: str,
    body: bytes,
    error: type[REDCapError],
    server: Server,
    client: REDCapClient,
    tmp_path: Path,
) -> None:
    server.say("file", named(name, body))

    with pytest.raises(error):
        client.files.save(tmp_path, "1", "scan")

    assert list(tmp_path.iterdir()) == []


def test_a_file_may_be_named_as_an_attachment(server: Server, client: REDCapClient) -> None:
    named_so = {"Content-Disposition": "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe.jpg"}
    server.say("file", Reply(CONTENT, headers=named_so))

    assert client.files.export("1", "scan").name == "Größe.jpg"


@pytest.mark.parametrize("most", [len(CONTENT), len(CONTENT) - 1, None])
def test_a_file_has_at_most_a_size(most: int | None, server: Server, tmp_path: Path) -> None:
    client = REDCapClient(server.url, TOKEN, max_file_bytes=most)
    calls: dict[str, tuple[Callable[[], REDCapFile], Callable[[], Path]]] = {
        "file": (
            lambda: client.files.export("1", "scan"),
            lambda: client.files.save(tmp_path, "1", "scan"),
        ),
        "fileRepository": (
            lambda: client.repository.export(4),
            lambda: client.repository.save(tmp_path, 4),
        ),
        "pdf": (client.pdfs.export, lambda: client.pdfs.save(tmp_path)),
    }
    for content, (export, save) in calls.items():
        server.say(content, named(f"{content}.dat"))
        if most is None or most >= len(CONTENT):
            assert export().content == CONTENT
            saved = save()
            assert saved.read_bytes() == CONTENT

            saved.unlink()
            continue
        for use in (export, save):
            with pytest.raises(FileTooLargeError, match="raise max_file_bytes"):
                use()
        assert len(server.asked(content)) == 2  # none is retried
    assert list(tmp_path.iterdir()) == []


def test_a_pdf_may_come_without_a_name(server: Server, client: REDCapClient) -> None:
    pdf = b"%PDF-1.7\n" + bytes(200_000)
    server.say("pdf", Reply(pdf, headers={"Content-Type": "text/html; charset=UTF-8"}))

    file = client.pdfs.export(
        record="1", event="e_arm_1", instrument="visit", repeat_instance=2, compact_display=True
    )

    assert file == REDCapFile("redcap.pdf", "application/pdf", pdf)
    [asked] = server.asked("pdf")
    assert asked["compactDisplay"] == "true"
    assert "allRecords" not in asked


def test_all_records_are_asked_for_by_any_value(
    server: Server, client: REDCapClient, tmp_path: Path
) -> None:
    server.say("pdf", Reply(b"%PDF-1.7\n"))

    assert client.pdfs.save(tmp_path, all_records=True) == tmp_path / "redcap.pdf"

    assert server.asked("pdf")[0]["allRecords"] == "true"


# -- on the disk ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "/etc/passwd",
        r"..\..\outside.txt",
        r"C:\outside.txt",
        "..",
        ".",
        "a/../../outside.txt",
        "outside.txt\x7f",
        "\u202etxt.exe",
        "x" * 300 + ".txt",
        "ü" * 200 + ".txt",
        "....//outside.txt",
        "name:stream",
    ],
)
def test_a_name_never_leaves_the_folder(
    name: str, server: Server, client: REDCapClient, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    server.say("file", named(name.replace("\\", "\\\\"), b"\xff"))

    saved = client.files.save(folder, "1", "scan")

    assert saved.parent == folder
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert list(folder.iterdir()) == [saved]
    assert saved.read_bytes() == b"\xff"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert len(os.fsencode(saved.name)) <= 200


@pytest.mark.parametrize(
    ("name", "safe"),
    [("a\0b", "ab"), ("nul\n.txt", "nul.txt"), (" .bashrc ", "bashrc"), ("/", "file")],
)
def test_what_is_left_of_a_name(name: str, safe: str) -> None:
    assert make_safe_name(name) == safe


def test_a_file_that_is_there_is_kept(
    server: Server,
    client: REDCapClient,
    tmp_path: Path,
    assert_silent: Callable[[BaseException], None],
) -> None:
    (tmp_path / "outside").write_bytes(b"outside")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / CANARY).symlink_to(tmp_path / "outside")
    server.say("fileRepository", named(CANARY))

    with pytest.raises(FileExistsError, match="in the folder") as caught:
        client.repository.save(folder, 4)

    assert (tmp_path / "outside").read_bytes() == b"outside"
    assert_silent(caught.value)


def test_a_file_that_breaks_off_is_asked_for_again_or_leaves_nothing(
    server: Server, client: REDCapClient, tmp_path: Path
) -> None:
    server.say("file", named("a.jpg", end="short"), named("a.jpg"))

    assert client.files.save(tmp_path, "1", "scan").read_bytes() == CONTENT

    (tmp_path / "a.jpg").unlink()
    server.say("file", named("a.jpg", end="short"))

    with pytest.raises(NetworkError):
        client.files.save(tmp_path, "1", "scan")

    assert list(tmp_path.iterdir()) == []


def test_a_file_is_read_from_here(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(b"x")

    assert REDCapFile.read(path) == REDCapFile("scan.png", "image/png", b"x")
    assert REDCapFile("a", "", b"").part == ("a", b"", "application/octet-stream")
