"""Tables as the text that REDCap sends: CSV, JSON and XML, with its habits of quoting."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "xml": "text/xml; charset=utf-8",  # guess: no answer in XML was captured
}

_CARRIAGE_RETURN = {"\r": "&#13;"}
"""Readers of XML take a bare one for a newline."""

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML has no way to write these, not even as a reference."""

XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8" ?>'


@dataclass(frozen=True, slots=True)
class Table:
    """An answer before it is text.

    Attributes:
        columns: Names of the columns.
        rows: Texts, and numbers where REDCap's JSON has numbers.
        quoted: Columns that CSV always quotes.
        newline: Whether CSV ends with one; REDCap leaves it out of some answers.
        single: Whether JSON is the one row's object and no list.
        delimiter: What stands between the cells of CSV.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | int]] = field(repr=False)
    quoted: tuple[str, ...] = ()
    newline: bool = True
    single: bool = False
    delimiter: str = ","


def write_table(table: Table, format_: str) -> str:
    """Write a table in one of REDCap's formats."""
    return {"csv": write_csv, "json": write_json, "xml": write_xml}[format_](table)


def write_csv(table: Table) -> str:
    r"""Write CSV: a cell in quotes where it holds something special or a space.

    Recorded for delimiter, quote, newline and space; that tab and carriage return count as well
    is how PHP's fputcsv does it.

    Example:
        >>> write_csv(Table(("id", "note"), [("1", "two words"), ("2", "one")]))
        'id,note\n1,"two words"\n2,one\n'
    """
    special = re.compile(f'[{re.escape(table.delimiter)}"\\n\\r\\t ]').search
    always = [column in table.quoted for column in table.columns]

    def cell(value: str | int, quoted: bool) -> str:
        text = str(value)
        if quoted or special(text):
            return '"' + text.replace('"', '""') + '"'
        return text

    # No column name has anything special; a label that stands for one can.
    lines = [table.delimiter.join(cell(name, False) for name in table.columns)]
    lines.extend(table.delimiter.join(map(cell, row, always)) for row in table.rows)
    return "\n".join(lines) + ("\n" if table.newline else "")


def write_json(table: Table) -> str:
    r"""Write JSON: objects on lines of their own, slashes escaped, other characters as they are.

    Recorded for the dictionary; taken to be so everywhere (guess).

    Example:
        >>> print(write_json(Table(("id", "unit"), [("1", "mg/dl"), ("2", "")])))
        [{"id":"1","unit":"mg\/dl"},
        {"id":"2","unit":""}]
    """
    objects = [dump_json(dict(zip(table.columns, row, strict=True))) for row in table.rows]
    return objects[0] if table.single else "[" + ",\n".join(objects) + "]"


def write_xml(table: Table) -> str:
    r"""Write XML. Names and order of the elements are documented, blanks between them a guess.

    A character that XML cannot hold stands as U+FFFD, as in a project XML; that PHP sends one as
    it is, which no reader takes, is a guess.

    Example:
        >>> write_xml(Table(("id",), [("a<\x0b",)])).endswith(
        ...     "<records><item><id>a&lt;\ufffd</id></item></records>")
        True
    """
    items = (
        "".join(
            f"<{column}>{_escape_xml(str(value))}</{column}>"
            for column, value in zip(table.columns, row, strict=True)
        )
        for row in table.rows
    )
    return (
        f"{XML_DECLARATION}<records>{''.join(f'<item>{item}</item>' for item in items)}</records>"
    )


def write_error(message: str, format_: str) -> str:
    """Write an error: the three shapes by which clients know one.

    Example:
        >>> write_error("Why not", "json"), write_error("Why not", "csv")
        ('{"error":"Why not"}', 'ERROR: Why not')
    """
    match format_:
        case "json":
            return dump_json({"error": message})
        case "csv":
            return f"ERROR: {message}"
        case _:
            return f"{XML_DECLARATION}<hash><error>{_escape_xml(message)}</error></hash>"


def _escape_xml(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", escape(text, _CARRIAGE_RETURN))


def dump_json(value: object) -> str:
    """Return JSON as PHP writes it: without spaces, slashes escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
