"""Every public method of the client is shown in an example, and examples are run as tests."""

import re
from typing import Any

import pytest

from redcap_dagster.api import REDCapClient

CLIENT = REDCapClient("http://127.0.0.1", "0123456789ABCDEF0123456789ABCDEF")
ROOMS = [CLIENT, *(room for name, room in vars(CLIENT).items() if not name.startswith("_"))]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: type(room).__name__)
def test_every_method_is_shown_in_an_example(room: Any) -> None:
    methods = {
        name: method
        for kind in type(room).__mro__[:-1]
        for name, method in vars(kind).items()
        if callable(method) and not name.startswith("_")
    }
    docstrings = "\n".join(str(method.__doc__) for method in methods.values())
    examples = "\n".join(re.findall(r"^ *(?:>>>|\.\.\.) .*$", docstrings, re.MULTILINE))

    assert methods
    assert [name for name in methods if f".{name}(" not in examples] == []
