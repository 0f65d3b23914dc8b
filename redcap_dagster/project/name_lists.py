"""A list of names as one text that stays short, for messages and check results."""

from collections.abc import Sequence
from typing import Final

MOST_NAMES: Final = 10


def list_names(names: Sequence[str], *, total: int | None = None, most: int = MOST_NAMES) -> str:
    """Return the first names as one text, and how many others there are.

    Args:
        names: The names, in the order in which they are shown.
        total: How many names there are, where some cannot be shown. Defaults to all of `names`.
        most: How many names to show. Defaults to 10.

    Example:
        >>> list_names(["age", "race"]), list_names(["age", "race", "dose"], most=2)
        ('age, race', 'age, race and 1 more')
        >>> list_names([], total=3)
        '3 more'
    """
    shown = ", ".join(names[:most])
    more = (len(names) if total is None else total) - len(names[:most])
    return " and ".join(filter(None, (shown, f"{more} more" if more > 0 else "")))
