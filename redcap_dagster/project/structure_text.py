"""The structure of a project as JSON text, as it is stored: without any record or token."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from redcap_dagster.project.rows import (
    Arm,
    Event,
    ExportFieldName,
    Field,
    FormEvent,
    Instrument,
    ProjectInfo,
    Repeating,
    StructureError,
    parse_row,
    parse_rows,
)

FORMAT: Final = 1
"""Version of the text that `write_structure` returns; older ones can be read."""


def write_structure(project: Any) -> str:
    """Return the attributes of a project as JSON in ASCII, the same in all encodings of files.

    Args:
        project: The project.
    """
    content = {"format": FORMAT, **_list_attributes(project)}
    return json.dumps(content, default=_list_attributes)


def _list_attributes(value: Any) -> dict[str, Any]:
    """Return a frozen value as a dict; `dataclasses.asdict` would copy each text in it."""
    return {each.name: getattr(value, each.name) for each in fields(value)}


def read_structure(text: str) -> dict[str, Any]:
    """Return the attributes of a project from text of `write_structure`, of any version so far.

    Args:
        text: The text.

    Raises:
        StructureError: A newer version wrote the text, or the text is damaged.
    """
    try:
        structure = _read_attributes(json.loads(text))
    except StructureError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise StructureError(
            f"The stored structure is empty or damaged ({type(error).__name__}), for example "
            "because a disk was full or a process was killed. Fetch the structure again."
        ) from None
    if not structure["fields"]:
        raise StructureError("The stored structure has no field. Fetch the structure again.")
    return structure


def _read_attributes(data: Mapping[str, Any]) -> dict[str, Any]:
    if data.get("format", FORMAT) > FORMAT:
        raise StructureError(
            "The structure was stored by a newer version of redcap-dagster, which this one "
            "cannot read. Upgrade redcap-dagster, or fetch the structure again."
        )
    return {
        "fields": parse_rows(Field, data["fields"]),
        "instruments": parse_rows(Instrument, data["instruments"]),
        "info": parse_row(ProjectInfo, data.get("info", {})),
        "arms": parse_rows(Arm, data.get("arms", ())),
        "events": parse_rows(Event, data.get("events", ())),
        "form_events": parse_rows(FormEvent, data.get("form_events", ())),
        "repeating": parse_rows(Repeating, data.get("repeating", ())),
        "field_names": parse_rows(ExportFieldName, data.get("field_names", ())),
        "version": str(data.get("version", "")),
        "has_access_groups": bool(data.get("has_access_groups", False)),
        "has_survey_identifier": bool(data.get("has_survey_identifier", False)),
        "surveys": tuple(map(str, data.get("surveys", ()))),
    }
