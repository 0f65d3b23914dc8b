"""CSV that REDCap does not write is never taken for an export, and what it writes always is."""

from collections.abc import Callable

import pytest

from redcap_dagster.api import (
    MalformedResponseError,
    ServerMemoryError,
    WebPageError,
)
from redcap_dagster.api.export.reader.csv_reader import open_csv
from redcap_dagster.api.http.response import Response

Silent = Callable[[BaseException], None]

SIZES = (1, 2, 7, 100_000)


def read(body: bytes, size: int) -> list[dict[str, str | None]]:
    chunks = iter([body[start : start + size] for start in range(0, len(body), size)])
    answer = Response("record export", "https://redcap.example.edu/api/", 200, {}, chunks, print)
    rows: list[dict[str, str | None]] = open_csv(answer, "id").read_all().to_pylist()
    return rows


# -- quotes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "row",
    [
        rb'1,"say \"hi" x"',
        b'1,"ab"cd"ef"',
        b'1,"a \\"\n7,\\"b" c"',
        b'1,a"b"',
        b'1, "a"',
        b'1,"a"b',
        b'1,""a""',
        b'1,"a""b"c"',
    ],
)
def test_quotes_that_redcap_would_have_doubled_are_refused(row: bytes, size: int) -> None:
    with pytest.raises(MalformedResponseError, match="a quote stands within a cell"):
        read(b"id,note\n" + row + b"\n2,b\n", size)


@pytest.mark.parametrize("size", SIZES)
def test_quotes_as_redcap_writes_them_are_read(size: int) -> None:
    rows = [("1", 'say "hi"'), ("2", '"'), ("3", '""\n","'), ("4", '","'), ("5", "\\"), ("6", "")]
    body = "".join(f'{key},"{cell.replace(chr(34), chr(34) * 2)}"\n' for key, cell in rows)

    found = read(b"id,note\n" + body.encode() + b'"7","x"\n', size)

    assert [(row["id"], row["note"] or "") for row in found] == [*rows, ("7", "x")]


# -- what PHP says --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "said",
    [
        "<br />\n<b>Warning</b>:  Undefined index: x in <b>/a.php</b> on line <b>1</b><br />",
        "<b>Notice</b>: Undefined",
        "<b>Deprecated</b>: Something",
        "<br />\n<b>Parse error</b>:  syntax",
        "PHP Warning:  Undefined",
        "Fatal error: Uncaught",
    ],
)
def test_what_php_says_is_no_record(said: str, size: int) -> None:
    for before in (b"id\n", b"id\n1\n", b'id\n"1 a"\n'):
        with pytest.raises(WebPageError):
            read(before + said.encode() + b"\n2\n", size)


def test_php_out_of_memory_is_told_apart() -> None:
    said = b"<br />\n<b>Fatal error</b>:  Allowed memory size of 1 bytes exhausted"
    for size in SIZES:
        with pytest.raises(ServerMemoryError):
            read(b"id\n1\n" + said + b"\n", size)


@pytest.mark.parametrize("size", SIZES)
def test_what_php_or_redcap_would_say_may_stand_in_a_cell(size: int) -> None:
    note = (
        "as seen:\nFatal error: none\n<br />\n<b>Warning</b>: x\n<hash><error>y</error></hash>\n"
        "ERROR: z\nAllowed memory size of 1"
    )
    body = f'id,note\n1,"{note}"\n2,"{note}"\n'.encode()

    assert read(body, size) == [{"id": "1", "note": note}, {"id": "2", "note": note}]


# -- two responses in one, and damaged ones --------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"id,note\nid,note\n1,a\n", "a row is the header again"),
        (b"id,note\n1,a\nid,note\n", "a row is the header again"),
        (b"id,note\n1,a\nid,note\n2,b\n", "a row is the header again"),
        (b"id,note\n1,a\n\xef\xbb\xbfid,note\n2,b\n", "a row is the header again"),
        (b'id,note\n1,a\n" ID ",Note\xc2\xa0\n2,b\n', "a row is the header again"),
        (b"id,note\n1,a\x00\n", "a cell holds a NUL"),
        (b'id,note\n1,"a\x00,b"\n', "a cell holds a NUL"),
        (b"id,no\x00te\n1,a\n", "its header holds a NUL"),
    ],
)
def test_two_responses_in_one_and_nul_are_refused(body: bytes, says: str, size: int) -> None:
    with pytest.raises(MalformedResponseError, match=says):
        read(body, size)


def test_a_record_called_like_a_column_is_read() -> None:
    assert read(b"id,note\nid,x\n", 100) == [{"id": "id", "note": "x"}]
