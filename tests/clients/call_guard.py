"""Which methods of a client the tests of a module really call, and whether that is all of them."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pytest

RAN = pytest.StashKey[set[str]]()
"""The tests of a module that ran in this process."""


def public_methods(client: type) -> set[str]:
    members = inspect.getmembers(client, inspect.isfunction)
    return {name for name, _ in members if not name.startswith("_")}


@contextmanager
def answered_calls(client: type, methods: set[str], requests: Callable[[], int]) -> Iterator[Any]:
    """Collect the methods that are called from outside of the client, and that send a request.

    What one method calls of another one proves nothing of it, nor does what it refuses by itself.
    """
    answered: set[str] = set()
    inside = False

    def watched(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal inside
            if inside:
                return method(*arguments, **options)
            before, inside = requests(), True
            try:
                return method(*arguments, **options)
            finally:
                inside = False
                if requests() > before:
                    answered.add(name)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in methods:
            patch.setattr(client, name, watched(name, getattr(client, name)))
        yield answered


def every_method_is_called(
    request: pytest.FixtureRequest, client: type, methods: set[str], requests: Callable[[], int]
) -> Iterator[None]:
    """Watch a client while the tests of a module run; then none of its methods is left over.

    Where only some of the tests were selected, or ran in this process, it is not judged.
    """
    with answered_calls(client, methods, requests) as answered:
        yield
    tests = {name for name in vars(request.module) if name.startswith("test_")}
    if tests <= request.node.stash.get(RAN, set()):
        left_over = ", ".join(sorted(methods - answered))
        assert not left_over, f"No test of this module calls {left_over}."
