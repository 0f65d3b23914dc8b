"""The option ``storage``: an IO manager for tables, or the resource key of another one."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from redcap_dagster.frames import Frames
from redcap_dagster.io_managers.location import TablePlace
from redcap_dagster.io_managers.table_io_manager import TableIOManager
from redcap_dagster.options import option


@option
class StorageSettings:
    """The resource key of an IO manager that stores the tables; for `build_redcap_definitions`.

    The IO manager must store and load pandas DataFrames, and load text as text: clean tables are
    made from the stored records if a run does not materialize the records too.

    Attributes:
        io_manager_key: Key of the IO manager among the resources.
        kind: Kind of storage that Dagster's UI shows, such as ``snowflake``. Defaults to none.
        frames: Dtypes of the DataFrames that the IO manager gets: ``pandas`` for those of ordinary
            pandas, or ``arrow`` for Arrow dtypes. Defaults to ``arrow`` for Dagster's own database
            IO managers, whose columns then have exact types, such as a date, and to ``pandas`` for
            others.

    Example:
        >>> StorageSettings("warehouse", kind="snowflake").kind
        'snowflake'
    """

    io_manager_key: str
    kind: str | None = None
    frames: Frames | None = None


Storage = dg.ConfigurableIOManagerFactory[Any] | StorageSettings
"""Type of the option ``storage``: an IO manager, also one of Dagster's own, or its resource key."""


def storage_kind(storage: Storage | None) -> str | None:
    """Return the kind of storage that Dagster's UI shows; None if it is unknown."""
    return storage.kind if isinstance(storage, StorageSettings | TableIOManager) else None


def place_metadata(storage: Storage | None, key: dg.AssetKey) -> Mapping[str, str]:
    """Return the metadata of a spec that say where its table is stored, as far as it is known.

    ``schema`` is the schema that Dagster's own database IO managers take first. Without it, they
    take a part of the key that the tables of all projects share, or one schema for all tables.

    Args:
        storage: Where the tables are stored; None if it is unknown.
        key: Key of the asset.

    Example:
        >>> dict(place_metadata(None, dg.AssetKey(["trial", "clean", "visit"])))
        {'schema': 'trial_clean'}
    """
    place = TablePlace(key)
    kind = storage_kind(storage)
    name = storage.find_table_name(place) if isinstance(storage, TableIOManager) else None
    return {
        **({"schema": place.schema} if len(key.path) > 1 else {}),
        **({"dagster/storage_kind": kind} if kind else {}),
        **({"dagster/table_name": name} if name else {}),
    }
