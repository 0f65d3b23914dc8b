"""The place of a table in storage: a schema and a name, taken from an asset key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dagster as dg


@dataclass(frozen=True, slots=True)
class TablePlace:
    """Where a table is kept: its schema (in Parquet, its folder) and its name.

    Raises:
        ValueError: A name that would lead out of its folder.
    """

    schema: str
    table: str

    def __post_init__(self) -> None:
        for name in (self.schema, self.table):
            if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
                raise ValueError(
                    f"{name!r} cannot name a table or its schema: it would lead out of its folder. "
                    "Give the asset a key whose parts hold no slash and are no dots."
                )

    @classmethod
    def from_asset_key(cls, key: dg.AssetKey) -> Self:
        """Place an asset: the last part of its key is the table, the others make the schema.

        All the others, so that the tables of two projects never meet: with the last of them alone
        ``a/clean/visit`` and ``b/clean/visit`` would be one table.

        Example:
            >>> TablePlace.from_asset_key(dg.AssetKey(["trial", "clean", "visit"]))
            TablePlace(schema='trial_clean', table='visit')
            >>> TablePlace.from_asset_key(dg.AssetKey("summary"))
            TablePlace(schema='main', table='summary')
        """
        *others, table = key.path
        return cls("_".join(others) or "main", table)

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"

    def never_written(self) -> LookupError:
        """The error for a table, or a partition of it, that is not there to be loaded."""
        return LookupError(
            f"Table {self} holds nothing of what was asked for: the asset that makes it, or a "
            "partition of it, was never stored here. Materialize it first."
        )


def make_private_folder(folder: Path) -> None:
    """Make a folder and its parents, each for this user alone; leave those that exist as they are.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as base:
        ...     make_private_folder(Path(base) / "a" / "b")
        ...     oct((Path(base) / "a").stat().st_mode)
        '0o40700'
    """
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
