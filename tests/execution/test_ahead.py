"""The next table is made while one is stored, and nothing else changes."""

import threading
from collections.abc import Generator, Iterator
from contextvars import ContextVar

import pyarrow as pa
import pytest

from redcap_dagster.execution import all_tables
from redcap_dagster.execution.ahead import iterate_ahead
from redcap_dagster.execution.all_forms.forms import AllForms
from redcap_dagster.execution.instrument import instrument_results
from redcap_dagster.execution.run import Result, Run
from tests.dagster_runs import Study
from tests.dictionary import field

STUDY = {
    "exports": {"metadata": [field("id", "base"), field("age", "visit")]},
    "records": [{"id": "1", "age": "40", "base_complete": "2", "visit_complete": "2"}],
}

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


def test_both_threads_release_what_arrow_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[str] = []

    class Pool:
        def release_unused(self) -> None:
            released.append("used" if threading.current_thread() is here else "made")

    here = threading.current_thread()
    monkeypatch.setattr(pa, "default_memory_pool", Pool)
    assert list(iterate_ahead(number for number in range(2))) == [0, 1]
    assert sorted(released) == ["made"] * 3 + ["used"] * 2


def test_items_are_made_in_the_context_of_their_user() -> None:
    def make() -> Generator[int, None, None]:
        yield number_of_run.get()

    number_of_run.set(7)
    assert list(iterate_ahead(make())) == [7]


@pytest.mark.parametrize("redcap_dialect", ["default"])
def test_only_a_run_that_loads_nothing_from_storage_goes_ahead(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[threading.Thread] = set()

    def make(run: Run, instrument: str, forms: AllForms) -> Iterator[Result]:
        threads.add(threading.current_thread())
        yield from instrument_results(run, instrument, forms)

    monkeypatch.setattr(all_tables, "instrument_results", make)
    assert study.run().success
    assert threading.main_thread() not in threads
    threads.clear()
    assert study.run(select=["study/records/visit", "study/clean/visit"]).success
    assert threads == {threading.main_thread()}
