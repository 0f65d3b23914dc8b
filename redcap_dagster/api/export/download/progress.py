"""The progress of an export: reported to the caller, or shown as a bar."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

from tqdm import tqdm


@dataclass(frozen=True)
class Progress:
    """The progress of an export that takes several requests.

    Attributes:
        rows: The number of rows received so far.
        share: The share of the expected cells received so far, from 0 to 1.
        seconds: The seconds that it took so far.

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
    """Adds up the responses of an export and reports the progress.

    Args:
        cells: The expected cells of the export.
        report: Is called with the progress.
    """

    def __init__(self, cells: int, report: Report) -> None:
        self._began = monotonic()
        self._cells, self._report = cells, report
        self._rows = self._cells_received = 0

    def add(self, rows: int, cells: int) -> None:
        """Add a response: its rows, and the cells that the plan expected of it."""
        self._rows += rows
        self._cells_received += cells
        share = min(self._cells_received / self._cells, 1.0) if self._cells else 1.0
        self._report(Progress(self._rows, share, monotonic() - self._began))


@contextmanager
def show_bar() -> Iterator[Report]:
    """Show a bar in a terminal or a notebook, and nothing elsewhere. Yield its reporter."""
    notebook = "ipykernel" in sys.modules
    shape = "{desc}{percentage:3.0f} %|{bar}| {elapsed}<{remaining}"
    with tqdm(
        total=_SCALE, bar_format=shape, leave=False, disable=False if notebook else None
    ) as shown:

        def report(progress: Progress) -> None:
            shown.set_description_str(f"REDCap: {progress.rows:,} rows ", refresh=False)
            shown.update(int(progress.share * _SCALE) - shown.n)

        yield report
