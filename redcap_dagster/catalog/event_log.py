"""The metadata of earlier materializations of an asset, from Dagster's event log."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import dagster as dg

from redcap_dagster.catalog.source import ProjectSource

Metadata = Mapping[str, dg.MetadataValue[Any]]
"""The metadata of a materialization, by name."""

_FIRST_PAGE_SIZE, _PAGE_SIZE = 1, 10
"""How many materializations the first query returns, which is mostly enough, and each other one."""


def earlier_metadata(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    entry: str,
    bucket: str | None = None,
    source: ProjectSource | None = None,
) -> Iterator[Metadata]:
    """Yield the metadata of earlier materializations of an asset, the newest first.

    Materializations without the entry are skipped: anybody can report one in Dagster's UI. So are
    those of the same run, which may be retried.

    Args:
        context: Context of the run.
        key: Key of the asset.
        entry: Name of a metadata entry that the materializations have.
        bucket: Bucket of the materializations. Defaults to any.
        source: Project of the materializations, which end at one of another project. Defaults to
            any.
    """
    query = dg.AssetRecordsFilter(key, asset_partitions=None if bucket is None else [bucket])
    limit, cursor, has_more = _FIRST_PAGE_SIZE, None, True
    while has_more:
        page = context.instance.fetch_materializations(query, limit=limit, cursor=cursor)
        for record in page.records:
            materialization = record.asset_materialization
            if record.run_id == context.run.run_id or materialization is None:
                continue
            metadata = materialization.metadata
            if entry not in metadata:
                continue
            if source is not None and source.differs(ProjectSource.from_metadata(metadata)):
                return
            yield metadata
        limit, cursor, has_more = _PAGE_SIZE, page.cursor, page.has_more


def last_metadata(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    entry: str,
    buckets: Sequence[str],
    source: ProjectSource | None = None,
) -> list[Metadata]:
    """Return the metadata of the last materialization of each bucket that has an entry.

    Args:
        context: Context of the run.
        key: Key of the asset.
        entry: Name of the entry.
        buckets: The buckets. If there are none, the last materialization of any partition is
            returned alone.
        source: Project of the materializations, as for `earlier_metadata`. Defaults to any.
    """
    each = [earlier_metadata(context, key, entry, bucket, source) for bucket in buckets or (None,)]
    return [metadata for earlier in each for metadata in islice(earlier, 1)]


def previous_row_count(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    buckets: Sequence[str],
    source: ProjectSource,
    *,
    replacing: bool,
) -> int | None:
    """Return how many rows a table had before the rows at hand; None if there were none before.

    Args:
        context: Context of the run.
        key: Key of the table's asset.
        buckets: The buckets at hand, whose rows are added up.
        source: Project of the rows at hand. Rows of another project are not compared with them.
        replacing: Whether the rows at hand are to replace the stored ones. Otherwise they are the
            stored ones, and the materialization before the last one counts.
    """
    rows = 0
    for bucket in buckets or (None,):
        earlier = earlier_metadata(context, key, "dagster/row_count", bucket, source)
        previous = next(islice(earlier, 0 if replacing else 1, None), None)
        if previous is None:
            return None
        rows += int(previous["dagster/row_count"].value)
    return rows
