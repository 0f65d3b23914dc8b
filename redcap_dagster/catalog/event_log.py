"""What earlier runs made of an asset, by Dagster's own record."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import dagster as dg

Told = Mapping[str, dg.MetadataValue[Any]]
"""The metadata of a materialization, by name."""

_AT_ONCE = 10
"""How many materializations are looked at in one query; mostly the first one will do."""


def earlier(
    context: dg.AssetExecutionContext, key: dg.AssetKey, telling: str, bucket: str | None = None
) -> Iterator[Told]:
    """Give what earlier materializations of an asset told, the newest first.

    Those that do not tell what is asked for are passed over: anybody can report one in Dagster's
    UI. So are those of this run: it may be its second try.

    Args:
        context: Of the run.
        key: The asset.
        telling: The name of an entry that they tell.
        bucket: Only materializations of this one.
    """
    wanted = dg.AssetRecordsFilter(key, asset_partitions=None if bucket is None else [bucket])
    cursor, more = None, True
    while more:
        found = context.instance.fetch_materializations(wanted, limit=_AT_ONCE, cursor=cursor)
        for record in found.records:
            made = record.asset_materialization
            others = record.run_id != context.run.run_id
            if others and made is not None and telling in made.metadata:
                yield made.metadata
        cursor, more = found.cursor, found.has_more


def last_told(
    context: dg.AssetExecutionContext, key: dg.AssetKey, telling: str, buckets: Sequence[str]
) -> list[Told]:
    """Give what the last materialization that tells something told: one for each bucket.

    Args:
        context: Of the run.
        key: The asset.
        telling: The name of an entry that it tells.
        buckets: The buckets; without any, one is given, of whatever partition.
    """
    each = [earlier(context, key, telling, bucket) for bucket in buckets or (None,)]
    return [told for made in each for told in islice(made, 1)]


def row_count_before(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    buckets: Sequence[str],
    *,
    replacing: bool,
) -> int | None:
    """Give the rows that a table had before those at hand; None where there were none.

    Args:
        context: Of the run.
        key: The table's asset.
        buckets: Those at hand, whose rows add up.
        replacing: Whether the rows at hand are about to replace the stored ones. Otherwise they
            are the stored ones, and what was before them is told.
    """
    rows = 0
    for bucket in buckets or (None,):
        made = earlier(context, key, "dagster/row_count", bucket)
        before = next(islice(made, 0 if replacing else 1, None), None)
        if before is None:
            return None
        rows += int(before["dagster/row_count"].value)
    return rows
