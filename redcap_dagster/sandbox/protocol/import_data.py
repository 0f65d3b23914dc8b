"""The ``data`` of an import, as rows of text: CSV, JSON or XML."""

import csv
import json
from collections.abc import Iterator
from io import StringIO
from typing import Final, NoReturn
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from redcap_dagster.sandbox.protocol.parameters import RequestError

Row = dict[str, str]

# Seen when user roles were imported; that it is so everywhere, with this status, is a guess.
UNREADABLE: Final = "The data is not in the specified format."
_LONGEST_CELL: Final = 2**31 - 1


def read_rows(data: str, format_: str, delimiter: str = ",") -> list[Row]:
    r"""Read the data of an import; blank cells are there as blanks.

    Raises:
        RequestError: It is not in this format. The text holds nothing of it.

    Example:
        >>> read_rows('id,note\n1,"a\nb"\n', "csv")
        [{'id': '1', 'note': 'a\nb'}]
        >>> read_rows('[{"id": 1.0, "note": null}]', "json")
        [{'id': '1', 'note': ''}]
        >>> read_rows("<records><item><id>1</id></item></records>", "xml")
        [{'id': '1'}]
    """
    try:
        match format_:
            case "csv":
                return list(_read_csv(data, delimiter))
            case "json":
                return list(_read_json(data))
            case _:
                return [
                    {cell.tag: cell.text or "" for cell in item}
                    for item in fromstring(data, forbid_dtd=True)
                ]
    except (csv.Error, ValueError, RecursionError, ParseError, DefusedXmlException):
        raise RequestError(400, UNREADABLE) from None


def _read_csv(data: str, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_CELL)
    rows = csv.reader(StringIO(data.removeprefix("\ufeff"), newline=""), delimiter=delimiter)
    header = [name.strip() for name in next(rows, [])]
    for cells in rows:
        if len(cells) > len(header):
            raise ValueError("A row has more cells than the header.")
        if cells:
            yield dict(zip(header, cells, strict=False))


def _read_json(data: str) -> Iterator[Row]:
    """Read a list of objects. One object by itself is taken for no rows, as a server does."""
    rows = json.loads(data, parse_constant=_refuse_constant)
    if isinstance(rows, dict):
        return
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("No list of objects.")
    for row in rows:
        yield {name: _cast_to_text(value) for name, value in row.items()}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is Python's, not of JSON.")


def _cast_to_text(value: object) -> str:
    """A value of JSON as text, the way PHP casts it."""
    match value:
        case None | False:
            return ""
        case True:
            return "1"
        case dict() | list():
            raise ValueError("A list or an object in the place of a value.")
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)
