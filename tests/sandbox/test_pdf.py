"""PDF files of instruments and records."""

from redcap_dagster.sandbox.documents.pdf import write_pdf
from tests.sandbox.conftest import Ask

# -- PDF ------------------------------------------------------------------------------------------


def test_pdf_of_instruments_and_records(classic: str, ask: Ask) -> None:
    blank = ask(classic, content="pdf", instrument="visit")
    assert blank.headers["content-type"] == "text/html; charset=UTF-8"
    assert blank.content.startswith(b"%PDF-1.4")
    assert b"(Visit) Tj" in blank.content
    assert b"(Drug) Tj" not in blank.content
    ten = ask(classic, content="pdf", record="10").content
    assert b'a "b"' in ten
    assert b"(id: 9)" not in ten
    assert b"(id: 9)" in ask(classic, content="pdf", allRecords="false").content
    assert ask(classic, content="pdf", record="11").status_code == 400
    assert ask(classic, content="pdf", instrument="none").status_code == 400


def test_a_pdf_points_at_its_parts() -> None:
    pdf = write_pdf([f"line ({number}) \\ é ←" for number in range(120)])
    start = int(pdf.split(b"startxref\n")[1].split()[0])
    assert pdf[start:].startswith(b"xref\n")
    places = [int(line.split()[0]) for line in pdf[start:].split(b"\n")[3:] if b" n" in line]
    assert len(places) == 9  # catalog, pages, font, and three pages with their text
    for number, place in enumerate(places, 1):
        assert pdf[place:].startswith(b"%d 0 obj" % number)
    assert b"(line \\(1\\) \\\\ \xe9 ?) Tj" in pdf
