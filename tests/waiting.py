"""Waiting for what happens in another thread or process, however busy the machine is."""

import time
from collections.abc import Callable
from threading import Event

PATIENCE = 60
"""Seconds after which it is taken for never."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once a condition holds, and fail if it does not hold in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        Event().wait(0.01)
