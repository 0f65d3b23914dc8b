"""The option ``storage``: an IO manager for tables, or the resource key of another one."""

import dagster as dg

from redcap_dagster.frames import Frames
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


Storage = dg.ConfigurableIOManager | StorageSettings
"""Type of the option ``storage``."""


def storage_kind(storage: Storage | None) -> str | None:
    """Return the kind of storage that Dagster's UI shows; None if it is unknown."""
    return storage.kind if isinstance(storage, StorageSettings | TableIOManager) else None
