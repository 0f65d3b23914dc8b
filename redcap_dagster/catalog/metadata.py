"""What an asset tells of itself: where it is from, how much there is. Never a cell by default."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from redcap_dagster.api import RecordExport
from redcap_dagster.catalog.event_log import Told
from redcap_dagster.catalog.versions import data_version
from redcap_dagster.io_managers import to_frame
from redcap_dagster.project import REDCapProject, build_page_url
from redcap_dagster.tables import profile

_OF_AN_EXPORT = ("exported_at", "listed", "request", "consistent", "notes")


def asset_result(
    spec: dg.AssetSpec,
    table: pa.Table,
    schema: dg.TableSchema,
    digest_key: bytes,
    *,
    metadata: Mapping[str, Any],
    check_results: Sequence[dg.AssetCheckResult] = (),
) -> dg.MaterializeResult[Any]:
    """Give a table to be stored, with what it tells of itself.

    Args:
        spec: Its asset.
        table: What to store.
        schema: Its columns.
        digest_key: The key of its data version.
        metadata: More to tell: names and counts, never values.
        check_results: What its checks found.
    """
    return dg.MaterializeResult(
        asset_key=spec.key,
        value=to_frame(table),
        metadata={
            "dagster/row_count": table.num_rows,
            "dagster/column_schema": schema,
            **metadata,
        },
        check_results=check_results,
        data_version=data_version(table, digest_key),
    )


def origin(url: str, project: REDCapProject) -> dict[str, Any]:
    """Tell which project of which server a table is of.

    Args:
        url: The address of the API.
        project: The structure.
    """
    home = build_page_url(url, project)
    return {
        "redcap/version": project.version,
        **({"redcap/project_id": project.info.project_id} if project.info.project_id else {}),
        **({"redcap/project": dg.MetadataValue.url(home)} if home else {}),
    }


def exported_at(moment: datetime) -> dict[str, Any]:
    """Tell when a table was exported."""
    return {"redcap/exported_at": dg.MetadataValue.timestamp(moment)}


def export_told(export: RecordExport) -> dict[str, Any]:
    """Tell how records were exported, so that anyone can repeat it at REDCap's API Playground.

    The parameters have no token, no record ids, and no values of a filter.
    """
    return {
        **exported_at(export.began),
        "redcap/listed": export.listed,
        "redcap/request": dict(export.parameters),
        "redcap/consistent": export.consistent,
        **({"redcap/notes": list(export.notes)} if export.notes else {}),
    }


def export_told_before(made: Sequence[Told]) -> dict[str, Any]:
    """Tell again how stored records were exported, as far as their materializations say the same.

    Args:
        made: What was told of each bucket, or of the whole table.
    """
    names = {f"redcap/{name}" for name in _OF_AN_EXPORT}
    alike = {name for name in names if len({repr(told.get(name)) for told in made}) == 1}
    return {name: entry for told in made[:1] for name, entry in told.items() if name in alike}


def counts(table: pa.Table) -> dict[str, Any]:
    """Tell how many cells are missing and how many differ, by column.

    Counts of different values are told where at least ten rows stand behind them.
    """
    found = profile(table)
    return {"redcap/missing": dict(found.missing), "redcap/distinct": dict(found.distinct)}


def preview(table: pa.Table, rows: int) -> dict[str, Any]:
    """Show the first rows of a table, if any are asked for.

    By default none are: Dagster keeps metadata in its database and shows them to everyone who may
    see its pages, and the cells are people's health data.
    """
    if not rows:
        return {}
    shown = table.slice(0, rows)
    lines = [shown.column_names, ["---"] * shown.num_columns]
    lines += [list(row.values()) for row in shown.to_pylist()]
    text = "\n".join(f"| {' | '.join(map(_in_markdown, line))} |" for line in lines)
    return {"redcap/preview": dg.MetadataValue.md(text)}


def _in_markdown(cell: object) -> str:
    if cell is None:
        return ""
    return str(cell).replace("\\", r"\\").replace("|", r"\|").replace("\n", "<br>")
