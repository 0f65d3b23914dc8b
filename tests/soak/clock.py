"""The time of client and server, which passes as usual and jumps to changes of summer time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from zoneinfo import ZoneInfo

from redcap_dagster.api.export import snapshot
from redcap_dagster.api.export.verification import changed_records as changes
from redcap_dagster.api.export.verification import consistency as settling

ZONE = ZoneInfo("America/New_York")


class Clock:
    """The current time; each change of summer time comes once, so that the log is in order."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def approach(self) -> None:
        """Jump to two minutes before the next change of summer time."""
        before, after = self(), self()
        while after.astimezone(ZONE).utcoffset() == before.astimezone(ZONE).utcoffset():
            before, after = after, after + timedelta(days=1)
        while after - before > timedelta(seconds=1):
            middle = before + (after - before) / 2
            same = middle.astimezone(ZONE).utcoffset() == before.astimezone(ZONE).utcoffset()
            before, after = (middle, after) if same else (before, middle)
        self._ahead += after - timedelta(minutes=2) - self()

    def advance(self) -> None:
        """Jump ten minutes ahead."""
        self._ahead += timedelta(minutes=10)

    @contextmanager
    def patch_client(self) -> Iterator[None]:
        """Give the client the time of this clock."""
        clock = self

        class At(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
                assert tz is UTC
                return clock()

        with ExitStack() as stack:
            for module in (changes, settling, snapshot):
                stack.enter_context(patch.object(module, "datetime", At))
            yield
