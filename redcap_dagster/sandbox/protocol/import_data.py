"""Import data (the parameter ``data``) in CSV, JSON or XML, read into rows of texts."""

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

# Known for imports of user roles; that all imports have this message and status is a guess.
UNREADABLE: Final = "The data is not in the specified format."
_LONGEST_CELL: Final = 2**31 - 1


def read_rows(data: str, format_: str, delimiter: str = ",") -> list[Row]:
    r"""Return the rows of import data; blank cells are blank texts.

    Raises:
        RequestError: The data is not in this format. The message has no value of it.

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
    """Read a list of objects. A single object has no rows, as on a server."""
    rows = json.loads(data, parse_constant=_refuse_constant)
    if isinstance(rows, dict):
        return
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("The data is not a list of objects.")
    for row in rows:
        yield {name: _cast_to_text(value) for name, value in row.items()}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _cast_to_text(value: object) -> str:
    """Return a JSON value as text, as PHP casts it."""
    match value:
        case None | False:
            return ""
        case True:
            return "1"
        case dict() | list():
            raise ValueError("A value is a list or an object.")
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)
