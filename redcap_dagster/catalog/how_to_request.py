"""How to request a table from REDCap without Dagster, as metadata: code in several languages."""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from redcap_dagster.api.snippets import (
    LANGUAGES,
    METHODS,
    Language,
    Method,
    Value,
    find_method,
    read_values,
    snippet,
)

HOW_TO_REQUEST: Final = "redcap/how_to_request"
"""The entry with the code."""

_EXPORT: Final = find_method("Export Records")
_FENCES: Final[Mapping[Language, str]] = {
    "client": "python",
    "requests": "python",
    "httr": "r",
    "curl": "sh",
}


def record_request_metadata(
    url: str, parameters: Mapping[str, str], instrument: str, record_id_field: str
) -> dict[str, Any]:
    """Return metadata with code that requests the records of an instrument.

    Args:
        url: URL of the API.
        parameters: The parameters of the export that they come from, as ``redcap/request`` has
            them.
        instrument: The instrument.
        record_id_field: The record id field, without which rows have no key.
    """
    own = {"forms": [instrument], "fields": [record_id_field]}
    return _write_metadata(url, _EXPORT, read_values(_EXPORT, parameters) | own)


def census_request_metadata(url: str, record_id_field: str, groups: bool) -> dict[str, Any]:
    """Return metadata with code that requests the records and events that REDCap lists.

    Args:
        url: URL of the API.
        record_id_field: The record id field.
        groups: Whether to request access groups, which REDCap refuses to users without the right.
    """
    values: dict[str, Value] = {
        "fields": [record_id_field],
        "exportSurveyFields": True,
        "exportDataAccessGroups": groups,
    }
    return _write_metadata(url, _EXPORT, values)


def structure_request_metadata(url: str, table: str) -> dict[str, Any]:
    """Return metadata with code that requests a metadata table.

    Args:
        url: URL of the API.
        table: The last part of the asset's key, such as ``fields``.
    """
    [method] = [each for each in METHODS if f"metadata/{table}" in each.tables]
    return _write_metadata(url, method, {})


def _write_metadata(url: str, method: Method, values: Mapping[str, Value]) -> dict[str, Any]:
    blocks = []
    for language, fence in _FENCES.items():
        code = snippet(method, values, language, url=url)
        blocks.append(f"{LANGUAGES[language]}:\n\n```{fence}\n{code}```")
    return {HOW_TO_REQUEST: dg.MetadataValue.md("\n\n".join(blocks))}
