"""How far an export is: told to whoever asks, or shown to who sits in front of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

from tqdm import tqdm


@dataclass(frozen=True)
class Progress:
    """How far an export of several requests is.

    Attributes:
        rows: How many came so far.
        share: How much of what is expected has come, from 0 to 1.
        seconds: How long it took.

    Example:
        >>> str(Progress(rows=1200, share=0.25, seconds=4))
        '1,200 rows, 25 %, 300 rows a second'
    """

    rows: int
    share: float
    seconds: float

    def __str__(self) -> str:
        rate = self.rows / self.seconds if self.seconds else 0
        return f"{self.rows:,} rows, {self.share:.0%}, {rate:,.0f} rows a second".replace("%", " %")


Report = Callable[[Progress], None]

_SCALE: Final = 1000


class Meter:
    """Adds up the answers of an export, and reports how far it is."""

    def __init__(self, cells: int, report: Report) -> None:
        self._began = monotonic()
        self._cells, self._report = cells, report
        self._rows = self._came = 0

    def add(self, rows: int, cells: int) -> None:
        """Take note of an answer: its rows, and how many cells of the plan it stands for."""
        self._rows += rows
        self._came += cells
        share = min(self._came / self._cells, 1.0) if self._cells else 1.0
        self._report(Progress(self._rows, share, monotonic() - self._began))


@contextmanager
def bar() -> Iterator[Report]:
    """Show a bar in a terminal or a notebook, and nothing elsewhere."""
    notebook = "ipykernel" in sys.modules
    shape = "{desc}{percentage:3.0f} %|{bar}| {elapsed}<{remaining}"
    with tqdm(
        total=_SCALE, bar_format=shape, leave=False, disable=False if notebook else None
    ) as shown:

        def report(progress: Progress) -> None:
            shown.set_description_str(f"REDCap: {progress.rows:,} rows ", refresh=False)
            shown.update(int(progress.share * _SCALE) - shown.n)

        yield report
