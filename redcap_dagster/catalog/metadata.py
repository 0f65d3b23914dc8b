"""The metadata of a table: its project, its export, counts. No cells, unless a preview is set."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from redcap_dagster.api import RecordExport
from redcap_dagster.catalog.event_log import Metadata
from redcap_dagster.catalog.source import ProjectSource
from redcap_dagster.catalog.versions import data_version
from redcap_dagster.markdown import build_markdown_table
from redcap_dagster.project import REDCapProject, build_page_url
from redcap_dagster.tables import CleanTable, Contents

_EXPORT_ENTRIES = (
    "redcap/exported_at",
    "redcap/listed",
    "redcap/request",
    "redcap/consistent",
    "redcap/notes",
    "redcap/unrequested_columns",
)


def asset_result(
    spec: dg.AssetSpec,
    contents: Contents,
    schema: dg.TableSchema,
    digest_key: bytes,
    *,
    metadata: Mapping[str, Any],
    check_results: Sequence[dg.AssetCheckResult] = (),
) -> dg.MaterializeResult[Any]:
    """Return the result that stores a table, with its metadata, data version and check results.

    Args:
        spec: Spec of the table's asset.
        contents: The table, and the digests of its columns.
        schema: Its columns, described.
        digest_key: Key of its data version.
        metadata: More metadata: names and counts, never values.
        check_results: Results of its checks. Defaults to none.
    """
    return dg.MaterializeResult(
        asset_key=spec.key,
        value=contents.table,
        metadata={
            "dagster/row_count": contents.table.num_rows,
            "dagster/column_schema": schema,
            **metadata,
        },
        check_results=check_results,
        data_version=data_version(contents, digest_key),
    )


def project_metadata(url: str, project: REDCapProject) -> dict[str, Any]:
    """Return the metadata of all tables of a project: the server's version, and the project.

    Args:
        url: URL of the API.
        project: The structure.
    """
    project_url = build_page_url(url, project)
    return {
        **ProjectSource.of(url, project).to_metadata(),
        "redcap/version": project.version,
        # As text, since Dagster plots numbers.
        **({"redcap/project_id": str(project.info.project_id)} if project.info.project_id else {}),
        **({"redcap/project": dg.MetadataValue.url(project_url)} if project_url else {}),
    }


def time_metadata(exported_at: datetime) -> dict[str, Any]:
    """Return the time of an export as metadata."""
    return {"redcap/exported_at": dg.MetadataValue.timestamp(exported_at)}


def export_metadata(export: RecordExport) -> dict[str, Any]:
    """Return how records were exported, so that it can be repeated in REDCap's API Playground.

    The parameters do not contain the token, record ids, or the values of a filter.
    """
    return {
        **time_metadata(export.began),
        "redcap/listed": export.listed,
        "redcap/request": dict(export.parameters),
        "redcap/consistent": export.consistent,
        **({"redcap/notes": list(export.notes)} if export.notes else {}),
        "redcap/unrequested_columns": list(export.unrequested),
    }


def stored_export_metadata(stored: Sequence[Metadata]) -> dict[str, Any]:
    """Return how stored records were exported: the entries that are equal in all buckets.

    Args:
        stored: Metadata of each bucket, or of the table without buckets.
    """
    return {
        name: entry
        for metadata in stored[:1]
        for name, entry in metadata.items()
        if name in _EXPORT_ENTRIES and len({repr(other.get(name)) for other in stored}) == 1
    }


def type_metadata(cleaned: CleanTable) -> dict[str, Any]:
    """Return columns of a clean table that may need another type, with YAML that sets it.

    Args:
        cleaned: The clean table.
    """
    metadata: dict[str, Any] = {}
    if cleaned.merging:
        text = (
            "These columns hold numbers but stay text: as numbers, different texts would become "
            "one value, or would not be written back as they were. To make them numbers:"
        )
        metadata["redcap/kept_as_text"] = _types_hint(text, cleaned.merging)
    for name, counts, lost, kept in (
        ("leading_zeros", cleaned.leading_zeros, "lose leading zeros as integers", "zeros"),
        ("rounded", cleaned.rounded, "have more digits than a number of 64 bits", "digits"),
    ):
        if counts:
            columns = ", ".join(f"{column} ({count})" for column, count in counts.items())
            text = f"Values that {lost}: {columns}. To keep the {kept}:"
            metadata[f"redcap/{name}"] = _types_hint(text, dict.fromkeys(counts, "text"))
    return metadata


def _types_hint(text: str, types: Mapping[str, str]) -> dg.MarkdownMetadataValue:
    """Return a text, and the YAML that gives columns their types."""
    lines = [f"    {name}: {kind}" for name, kind in types.items()]
    yaml = "\n".join(["```yaml", "cleaning:", "  types:", *lines, "```"])
    return dg.MetadataValue.md(f"{text}\n\n{yaml}")


def preview_metadata(table: pa.Table, rows: int) -> dict[str, Any]:
    """Return the first rows of a table as metadata, if any are to be shown.

    By default none are, as the cells are people's health data: Dagster keeps metadata in its
    database and shows them to everyone who may open its UI.

    Args:
        table: The table.
        rows: How many rows to show.
    """
    if not rows:
        return {}
    cells = [list(row.values()) for row in table.slice(0, rows).to_pylist()]
    text = build_markdown_table(table.column_names, cells)
    return {"redcap/preview": dg.MetadataValue.md(text)}
