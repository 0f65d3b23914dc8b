"""What earlier runs made of an asset, by Dagster's own record."""

from collections.abc import Sequence
from typing import Any

import dagster as dg


def earlier_materializations(
    context: dg.AssetExecutionContext, key: dg.AssetKey
) -> Sequence[dg.AssetMaterialization]:
    """Give the last two materializations of an asset that are of other runs, the newest first.

    Those of this run's own do not count: it may be its second try.
    """
    partitions = [context.partition_key] if context.has_partition_key else None
    found = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(key, asset_partitions=partitions), limit=3 + context.retry_number
    )
    others = [record for record in found.records if record.run_id != context.run.run_id]
    made = [record.asset_materialization for record in others]
    return [materialization for materialization in made if materialization is not None][:2]


def told(materialization: dg.AssetMaterialization, name: str) -> Any:
    """Give what a materialization told by a name; None where it did not."""
    value = materialization.metadata.get(name)
    return None if value is None else value.value


def row_count_before(
    context: dg.AssetExecutionContext, key: dg.AssetKey, *, replacing: bool
) -> int | None:
    """Give the rows that a table had before those at hand; None where there were none.

    Args:
        context: Of the run.
        key: The table's asset.
        replacing: Whether the rows at hand are about to replace the stored ones. Otherwise they
            are the stored ones, and what was before them is told.
    """
    made = earlier_materializations(context, key)[0 if replacing else 1 :]
    return told(made[0], "dagster/row_count") if made else None
