"""The time of client and server, which goes by as it does, and leaps where clocks are put."""

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
    """Tells the time; each change of summer time comes once, so that the log has no later one."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def approach(self) -> None:
        """Go on to two minutes before clocks are put forward or back the next time."""
        before, after = self(), self()
        while after.astimezone(ZONE).utcoffset() == before.astimezone(ZONE).utcoffset():
            before, after = after, after + timedelta(days=1)
        while after - before > timedelta(seconds=1):
            middle = before + (after - before) / 2
            same = middle.astimezone(ZONE).utcoffset() == before.astimezone(ZONE).utcoffset()
            before, after = (middle, after) if same else (before, middle)
        self._ahead += after - timedelta(minutes=2) - self()

    def leap(self) -> None:
        """Let ten minutes go by."""
        self._ahead += timedelta(minutes=10)

    @contextmanager
    def told_to_the_client(self) -> Iterator[None]:
        """Let the client live by this clock."""
        clock = self

        class At(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
                assert tz is UTC
                return clock()

        with ExitStack() as stack:
            for room in (changes, settling, snapshot):
                stack.enter_context(patch.object(room, "datetime", At))
            yield
