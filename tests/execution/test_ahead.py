"""The next table is made while one is stored, and nothing else changes."""

import threading
from collections.abc import Generator
from contextvars import ContextVar

import pytest

from redcap_dagster.execution.ahead import iterate_ahead

number_of_run: ContextVar[int] = ContextVar("number_of_run")


def test_the_next_item_is_made_while_one_is_used_and_no_more() -> None:
    made = [threading.Event() for _ in range(3)]

    def make() -> Generator[int, None, None]:
        for number, event in enumerate(made):
            event.set()
            yield number

    items = iterate_ahead(make())
    assert next(items) == 0
    assert made[1].wait(10)
    assert not made[2].is_set()
    assert list(items) == [1, 2]


def test_an_error_is_raised_where_its_item_would_be() -> None:
    def make() -> Generator[int, None, None]:
        yield from (0, 1)
        raise LookupError("of the third")

    items = iterate_ahead(make())
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(LookupError, match="of the third"):
        next(items)


def test_whoever_stops_early_closes_the_generator() -> None:
    may_go_on, closed = threading.Event(), threading.Event()

    def make() -> Generator[int, None, None]:
        try:
            yield 0
            may_go_on.wait(10)
            yield 1
        finally:
            closed.set()

    items = iterate_ahead(make())
    assert next(items) == 0
    threading.Timer(0.05, may_go_on.set).start()  # closing waits for the item that is being made
    items.close()
    assert closed.is_set()


def test_items_are_made_in_the_context_of_their_user() -> None:
    def make() -> Generator[int, None, None]:
        yield number_of_run.get()

    number_of_run.set(7)
    assert list(iterate_ahead(make())) == [7]
