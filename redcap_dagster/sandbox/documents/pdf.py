"""Instruments as PDF: labels and values of records as lines of text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from textwrap import wrap
from typing import Final

from redcap_dagster.project.system_columns import REPEAT_INSTANCE
from redcap_dagster.sandbox.calls.call import Call, Handler, Response
from redcap_dagster.sandbox.calls.log import write_log
from redcap_dagster.sandbox.protocol.parameters import Parameters, RequestError
from redcap_dagster.sandbox.records.export import build_flat_table

_CONTENT_TYPE: Final = "text/html; charset=UTF-8"
"""Content type as recorded from a server."""

_LINES: Final = 55
_WIDTH: Final = 90


def export_pdf(call: Call) -> Response:
    """Handle ``content=pdf``: instruments without values, with a record, or with all records."""
    body = write_pdf(list(_list_lines(call)))
    write_log(
        call.store, call.project, "export", "Data export (API) ", "export_format: PDF"
    )  # guess
    return Response(body, _CONTENT_TYPE)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {("pdf", "export"): export_pdf}


def write_pdf(lines: Sequence[str]) -> bytes:
    """Return lines of text as PDF; characters that its font lacks become question marks.

    Example:
        >>> write_pdf(["Visit"])[:8]
        b'%PDF-1.4'
    """
    pages = [lines[start : start + _LINES] for start in range(0, len(lines) or 1, _LINES)]
    numbers = range(4, 4 + 2 * len(pages), 2)
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        font.encode(),
    ]
    for number, page in zip(numbers, pages, strict=True):
        text = b"".join(b"(" + _escape(line) + b") Tj T*\n" for line in page)
        stream = b"BT /F1 10 Tf 13 TL 40 780 Td\n" + text + b"ET"
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R"
            b" >> >> /Contents %d 0 R >>" % (number + 1),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        ]
    body, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start, count = len(body), len(objects) + 1
    body += b"xref\n0 %d\n0000000000 65535 f \n" % count
    body += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    body += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start)
    return bytes(body)


def _escape(line: str) -> bytes:
    for character in "\\()":
        line = line.replace(character, "\\" + character)
    return line.encode("cp1252", errors="replace")


def _list_lines(call: Call) -> Iterator[str]:
    structure, parameters = call.project.structure, call.parameters
    known = [form.instrument_name for form in structure.instruments]
    forms = (
        [parameters.get_choice("instrument", tuple(known), "")]
        if parameters.get_text("instrument")
        else known
    )
    yield structure.info.project_title or "REDCap"
    # REDCap exports all records for any value of allRecords, even false.
    record, all_records = parameters.get_text("record"), "allRecords" in parameters.names
    if not (record or all_records):
        for form in structure.instruments:
            if form.instrument_name in forms:
                yield from ("", form.instrument_label)
                fields = structure.columns(form.instrument_name)
                yield from (line for column in fields for line in _wrap(f"{column.label}:"))
        return
    pairs = [("fields[]", structure.record_id_field), ("rawOrLabel", "label")]
    pairs += [("forms[]", form) for form in forms] + [("events", parameters.get_text("event"))]
    pairs += [("records[]", "" if all_records else record)]
    table = build_flat_table(replace(call, parameters=Parameters.from_pairs(pairs)))
    if not (table.rows or all_records):
        raise RequestError(400, f'The record "{record}" does not exist')
    labels = {column.name: column.label for form in forms for column in structure.columns(form)}
    instance = parameters.get_text("repeat_instance")
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        if instance and str(cells.get(REPEAT_INSTANCE, "") or 1) != instance:
            continue
        yield ""
        for name, value in cells.items():
            if value != "":
                yield from _wrap(f"{labels.get(name, name)}: {value}")


def _wrap(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from wrap(line, _WIDTH)
