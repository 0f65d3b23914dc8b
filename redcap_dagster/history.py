"""What earlier runs made of an asset, by Dagster's own record."""

from collections.abc import Sequence
from typing import Any

import dagster as dg


def earlier_materializations(
    context: dg.AssetExecutionContext, key: dg.AssetKey, buckets: Sequence[str] = ()
) -> Sequence[dg.AssetMaterialization]:
    """Give the last two materializations of an asset that are of other runs, the newest first.

    Those of this run's own do not count: it may be its second try.

    Args:
        context: Of the run.
        key: The asset.
        buckets: Only materializations of these; of all where none are given.
    """
    found = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(key, asset_partitions=list(buckets) or None),
        limit=2 + (1 + context.retry_number) * max(1, len(buckets)),
    )
    others = [record for record in found.records if record.run_id != context.run.run_id]
    made = [record.asset_materialization for record in others]
    return [materialization for materialization in made if materialization is not None][:2]


def told(materialization: dg.AssetMaterialization, name: str) -> Any:
    """Give what a materialization told by a name; None where it did not."""
    value = materialization.metadata.get(name)
    return None if value is None else value.value


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
    each = [[bucket] for bucket in buckets] or [[]]
    made = [earlier_materializations(context, key, own)[0 if replacing else 1 :] for own in each]
    if not all(made):
        return None
    return sum(int(told(one[0], "dagster/row_count")) for one in made)
