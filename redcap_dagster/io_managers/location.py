"""The place of a table in storage: a schema and a name, taken from an asset key."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg


@dataclass(frozen=True, slots=True)
class TablePlace:
    """Where the table of an asset is kept: its schema (in Parquet, its folder) and its name.

    The last part of the key is the table, the others make the schema. All the others, so that the
    tables of two projects do not meet: with the last of them alone ``a/clean/visit`` and
    ``b/clean/visit`` would be one table. Keys that meet even so, as ``a/b/x`` and ``a_b/x`` do, are
    told apart by what is kept with the table; see `check_owner`.

    Attributes:
        asset: The key of the asset.

    Raises:
        ValueError: A name that would lead out of its folder.

    Example:
        >>> place = TablePlace(dg.AssetKey(["trial", "clean", "visit"]))
        >>> place.schema, place.table, str(place)
        ('trial_clean', 'visit', 'trial_clean.visit')
        >>> str(TablePlace(dg.AssetKey("summary")))
        'main.summary'
    """

    asset: dg.AssetKey

    def __post_init__(self) -> None:
        for name in (self.schema, self.table):
            if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
                raise ValueError(
                    f"{name!r} cannot name a table or its schema: it would lead out of its folder. "
                    "Give the asset a key whose parts hold no slash and are no dots."
                )

    @property
    def schema(self) -> str:
        """The name of its schema, in Parquet of its folder."""
        return "_".join(self.asset.path[:-1]) or "main"

    @property
    def table(self) -> str:
        """Its name."""
        return self.asset.path[-1]

    @property
    def owner(self) -> str:
        """The asset, as it is written beside the table that is stored."""
        return self.asset.to_user_string()

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"

    def check_owner(self, stored: str | None) -> None:
        """Refuse to read or to replace the table of another asset.

        Args:
            stored: The owner of the table that is there, if any is there and says so.

        Raises:
            ValueError: It is not this one.
        """
        if stored not in (None, self.owner):
            raise ValueError(
                f"Table {self} is that of the asset {stored}, so that {self.owner} cannot have it: "
                "the parts of a key but the last are joined by _ and make the schema. Give one of "
                "the two another key; or drop the table, if its asset is no more."
            )

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
