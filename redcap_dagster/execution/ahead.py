"""While Dagster stores a table, the next one is made."""

import contextvars
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import pyarrow as pa

T = TypeVar("T")


def iterate_ahead(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Yield the items of a generator; while one is used, the next one is made in a thread.

    Nothing else differs: the items have the same order, an error is raised where its item would be,
    and the generator is closed when this one is. It never runs in two threads at once, and is never
    more than one item ahead. Arrow keeps unused memory for each thread, so both threads release
    theirs after each item.

    Args:
        items: The generator; no item is None. What it does for an item must not depend on what
            was done with the one before.

    Example:
        >>> list(iterate_ahead(number * number for number in range(4)))
        [0, 1, 4, 9]
    """
    context = contextvars.copy_context()

    def make_next() -> T | None:
        item = context.run(lambda: next(items, None))
        pa.default_memory_pool().release_unused()
        return item

    with closing(items), ThreadPoolExecutor(1) as thread:
        coming = thread.submit(make_next)
        while (item := coming.result()) is not None:
            coming = thread.submit(make_next)
            yield item
            pa.default_memory_pool().release_unused()
