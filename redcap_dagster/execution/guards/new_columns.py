"""Protection of tables in databases: Dagster's own IO managers write rows by their position.

They write into the table that is there. After an edit of the dictionary, values would be under the
names of other columns, or rounded to their types; after a change of the number of buckets, the rows
of the old buckets would stay beside the new ones.
"""

from typing import Any

import dagster as dg

from redcap_dagster.dagster_private import DbIOManager
from redcap_dagster.execution.stored_tables import find_io_manager
from redcap_dagster.partitions import get_partitioning
from redcap_dagster.project import StructureError
from redcap_dagster.project.name_lists import list_names

ALLOW_NEW_COLUMNS = "redcap/allow_new_columns"
"""Tag of a run whose tables were dropped in the database, and may have other columns or buckets."""

_COLUMNS = "dagster/column_schema"


def refuse_new_columns(
    context: dg.AssetExecutionContext, spec: dg.AssetSpec, schema: dg.TableSchema, buckets: int = 0
) -> None:
    """Raise an error if a database IO manager of Dagster would write into other columns.

    Args:
        context: Context of the run.
        spec: Spec of the table.
        schema: The columns that the run would store.
        buckets: Number of buckets of the table. Defaults to 0, for none.

    Raises:
        StructureError: The last materialization had other columns or buckets.
    """
    if context.run.tags.get(ALLOW_NEW_COLUMNS, "").lower() == "true":
        return
    if not isinstance(find_io_manager(context, spec), DbIOManager):
        return
    stored = _find_last(context, spec.key)
    if stored is None:
        return
    before, now = _list_columns(stored.metadata[_COLUMNS].value), _list_columns(schema)
    differing = [column for column in (*before, *now) if column not in before or column not in now]
    names = list_names(list(dict.fromkeys(name for name, _ in differing)))
    partitioning = get_partitioning(stored.partition or "")
    if before != now:
        difference = f"other columns than now ({names or 'in another order'})"
    elif partitioning != (str(buckets) if buckets else ""):
        difference = "another number of buckets than now"
    else:
        return
    raise StructureError(
        f"the stored table of {spec.key.to_user_string()} has {difference}. Dagster's own IO "
        "manager would write the new rows into its columns, by position and beside the rows of "
        "other buckets. Drop the table in the database, then run again with the tag "
        f"{ALLOW_NEW_COLUMNS}: true."
    )


def _find_last(
    context: dg.AssetExecutionContext, key: dg.AssetKey
) -> dg.AssetMaterialization | None:
    """Return the last materialization that says which columns it stored."""
    for record in context.instance.fetch_materializations(key, limit=10).records:
        found: dg.AssetMaterialization | None = record.asset_materialization
        if found is not None and _COLUMNS in found.metadata:
            return found
    return None


def _list_columns(schema: Any) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in schema.columns]
