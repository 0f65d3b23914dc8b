"""Where the tables of a project are kept: an IO manager, or the key of one's own."""

import dagster as dg

from redcap_dagster.io_managers.table import TableIOManager
from redcap_dagster.options import option


@option
class StorageSettings:
    """An IO manager of one's own that keeps the tables; for `build_redcap_definitions`.

    It gets and returns pandas DataFrames, and must return as text what it got as text: clean tables
    are made from stored records where these are not materialized in the same run.

    Attributes:
        io_manager_key: Key of the resource.
        kind: Kind of storage that Dagster's UI shows, such as ``snowflake``. Defaults to none.

    Example:
        >>> StorageSettings("warehouse", kind="snowflake").kind
        'snowflake'
    """

    io_manager_key: str
    kind: str | None = None


Storage = dg.ConfigurableIOManager | StorageSettings
"""What the option ``storage`` takes."""


def storage_kind(storage: Storage | None) -> str | None:
    """Return the kind of storage that Dagster's UI shows, where it is known."""
    return storage.kind if isinstance(storage, StorageSettings | TableIOManager) else None
