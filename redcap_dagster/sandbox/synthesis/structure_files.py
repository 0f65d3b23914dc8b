"""The structure of a project from a file: a project XML, JSON, or a data dictionary."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Final

from redcap_dagster.project import Field, REDCapProject, StructureError
from redcap_dagster.project.xml.reader import parse_odm
from redcap_dagster.sandbox.store.loading import read_exports
from redcap_dagster.sandbox.synthesis.implied_events import with_implied_events

_COLUMNS: Final = tuple(column.name for column in fields(Field))
_DELIMITERS: Final = ",;\t"


def read_structure_file(path: str | Path, events: Sequence[str] = ()) -> REDCapProject:
    """Return the structure that a file describes; records in it are ignored.

    Args:
        path: Project XML, JSON of a structure, or a data dictionary as CSV with the headers of the
            API or of REDCap's pages. A dictionary does not list events: those that its logic names
            are made; see `with_implied_events`.
        events: Further events of a data dictionary. Defaults to none.

    Raises:
        ValueError: The file cannot be read as any of these. The text does not show its content.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError:
        raise ValueError(f"{path.name}: cannot be read. Check the path.") from None
    text = _decode(content)
    start = text.lstrip()[:1]
    try:
        if start in ("{", "[", "<"):
            if events:
                raise ValueError(
                    "events are given for a data dictionary only: this file lists its own."
                )
            return parse_odm(content).project if start == "<" else _read_json(text)
        return with_implied_events(_read_dictionary(text), events)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def is_project_xml(path: Path) -> bool:
    """Return whether a file is XML, rather than JSON or a data dictionary."""
    with path.open("rb") as file:
        return file.read(100).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def _decode(content: bytes) -> str:
    """Return the text of a file, which spreadsheet programs may have saved in Latin-1."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _read_json(text: str) -> REDCapProject:
    """Return the structure of JSON: of `REDCapProject.to_json`, or of exports of the API.

    Raises:
        ValueError: The text is neither.
    """
    try:
        data = json.loads(text)
    except ValueError:
        raise ValueError("the JSON is damaged. Write the file again.") from None
    if isinstance(data, list):
        return read_exports({"metadata": data}, ())
    if "metadata" in data:
        return read_exports(data, ())
    return REDCapProject.from_json(text)


def _read_dictionary(text: str) -> REDCapProject:
    """Return the fields and instruments of a data dictionary.

    Raises:
        ValueError: The text is not a data dictionary.
    """
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except (csv.Error, ValueError):
        header, rows = [], []
    # REDCap's pages write other headers, in the language of the server, and the same columns.
    columns = tuple(header) if "field_name" in header else _COLUMNS
    if len(header) != len(columns) or "form_name" not in columns or not rows:
        raise ValueError(
            "it is not a project XML, JSON of a structure, or a data dictionary: that is a CSV "
            f"with a header and the {len(_COLUMNS)} columns that REDCap exports."
        )
    if long := [number for number, row in enumerate(rows, 2) if len(row) not in (0, len(columns))]:
        raise ValueError(
            f"row {long[0]} of the data dictionary does not have {len(columns)} cells. It was "
            "probably edited: export the dictionary again."
        )
    dictionary = REDCapProject.from_exports(
        metadata=[dict(zip(columns, row, strict=True)) for row in rows if row]
    )
    if not all(field.field_name and field.form_name for field in dictionary.fields):
        raise StructureError("a field of the data dictionary has no name or no form.")
    for instrument in dictionary.instruments:
        dictionary.check_columns(instrument.instrument_name)
    return replace(dictionary, info=replace(dictionary.info, project_title="Data dictionary"))
