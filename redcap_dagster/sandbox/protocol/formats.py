"""Tables as CSV, JSON and XML, quoted and escaped as REDCap does it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from redcap_dagster.sandbox.dialects import Dialect

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "xml": "text/xml; charset=utf-8",  # guess: no response in XML was recorded
}

_CARRIAGE_RETURN = {"\r": "&#13;"}
"""XML readers take an unescaped carriage return for a newline."""

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML cannot hold these characters, not even as references."""

XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8" ?>'


@dataclass(frozen=True, slots=True)
class Table:
    """A response before it is text.

    Attributes:
        columns: Column names.
        rows: Cells by row: texts, and numbers where REDCap's JSON has numbers.
        quoted: Columns that CSV always quotes. Defaults to none.
        newline: Whether CSV ends with a newline, which some responses lack. Defaults to True.
        single: Whether JSON is the object of the only row instead of a list. Defaults to False.
        delimiter: Delimiter of CSV. Defaults to a blank, for that of the server.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | int]] = field(repr=False)
    quoted: tuple[str, ...] = ()
    newline: bool = True
    single: bool = False
    delimiter: str = ""


def write_table(table: Table, format_: str, dialect: Dialect) -> bytes:
    """Return a table in a format, ``csv``, ``json`` or ``xml``, as a server writes it."""
    match format_:
        case "csv":
            return dialect.encode(write_csv(table, dialect))
        case "json":
            return dialect.encode(write_json(table))
        case _:
            return dialect.encode(write_xml(table))


def write_csv(table: Table, dialect: Dialect) -> str:
    r"""Return a table as CSV; cells with a special character or a space are quoted.

    Recorded for delimiter, quote, newline and space; PHP's fputcsv also quotes tab, carriage
    return and its escape character, the backslash.

    Example:
        >>> table = Table(("id", "note"), [("1", "two words"), ("2", r'\" is a quote')])
        >>> print(write_csv(table, Dialect()), end="")
        id,note
        1,"two words"
        2,"\"" is a quote"
        >>> print(write_csv(table, Dialect(quotes="escaped")).splitlines()[-1])
        2,"\" is a quote"
    """
    delimiter = table.delimiter or dialect.delimiter
    escapes = dialect.quotes == "escaped"
    escape_character = r"\\" if escapes else ""
    special = re.compile(f'[{re.escape(delimiter)}"\n\r\t {escape_character}]').search
    doubled = re.compile(r'(?<!\\)"' if escapes else '"')
    always = [column in table.quoted for column in table.columns]

    def write_cell(value: str | int, quoted: bool) -> str:
        text = str(value)
        if quoted or special(text):
            return '"' + doubled.sub('""', text) + '"'
        return text

    # A column name has no special characters; a column label can have them.
    lines = [delimiter.join(write_cell(name, False) for name in table.columns)]
    lines.extend(delimiter.join(map(write_cell, row, always)) for row in table.rows)
    return "\n".join(lines) + ("\n" if table.newline else "")


def write_json(table: Table) -> str:
    r"""Return a table as JSON: one object per line, slashes escaped, no other escapes.

    Recorded for the dictionary; that all responses are like this is a guess.

    Example:
        >>> print(write_json(Table(("id", "unit"), [("1", "mg/dl"), ("2", "")])))
        [{"id":"1","unit":"mg\/dl"},
        {"id":"2","unit":""}]
    """
    objects = [dump_json(dict(zip(table.columns, row, strict=True))) for row in table.rows]
    return objects[0] if table.single else "[" + ",\n".join(objects) + "]"


def write_xml(table: Table) -> str:
    r"""Return a table as XML.

    Names and order of the elements are documented; the blanks between them are a guess.
    Characters that XML cannot hold become U+FFFD, as in a project XML; PHP may send them
    unchanged, which XML readers refuse.

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
    """Return an error message in a format, in the forms by which clients recognize errors.

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
