"""Python values checked and written as API parameters."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any


def call_parameters(
    content: str, action: str = "", **parameters: str | int | None
) -> dict[str, str]:
    """Return the parameters of a call, without those that are None.

    Args:
        content: REDCap's name of what is requested.
        action: REDCap's name of the action. Defaults to none, which is an export.
        **parameters: Other parameters by REDCap's names.

    Example:
        >>> call_parameters("arm", "import", override=0, event=None)
        {'content': 'arm', 'format': 'json', 'returnFormat': 'json', 'action': 'import', \
'override': '0'}
    """
    given = {"action": action or None, **parameters}
    always = {"content": content, "format": "json", "returnFormat": "json"}
    return always | {name: str(value) for name, value in given.items() if value is not None}


def write_optional_list(name: str, values: Sequence[str | int] | None) -> dict[str, str]:
    """Return a list as parameters like `write_list`; none where it is None."""
    return {} if values is None else write_list(name, values)


def write_flag(name: str, value: bool) -> str | None:
    """Return a switch as ``true`` if it is on, and None if it is off.

    Raises:
        TypeError: It is not a bool, such as the text ``false``.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name}: must be True or False, not {type(value).__name__}.")
    return "true" if value else None


def check_one_of(name: str, value: str, words: Sequence[str]) -> str:
    """Return a value that is one of REDCap's words.

    Raises:
        ValueError: It is another word.
    """
    if value not in words:
        raise ValueError(f"{name}: must be one of {', '.join(map(repr, words))}.")
    return value


def check_required(name: str, value: str | int) -> str:
    """Return a text that is not blank; REDCap would ignore a blank one.

    Raises:
        TypeError: It is neither a text nor a number.
        ValueError: It is blank.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{name}: must be a text, not {type(value).__name__}.")
    if not str(value).strip():
        raise ValueError(f"{name}: is blank. Give a text.")
    return str(value)


def check_positive(name: str, value: int | None) -> int | None:
    """Return a whole number from 1 on, or None.

    Raises:
        ValueError: It is something else.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{name}: must be a whole number from 1 on.")
    return value


def write_list(name: str, values: Sequence[str | int]) -> dict[str, str]:
    """Return a list as REDCap's parameters ``records[0]``, ``records[1]``, ...

    Raises:
        TypeError: It is one string instead of a list, or not every item is text.
        ValueError: It is empty, which REDCap would take for all.
    """
    if isinstance(values, str | bytes):
        raise TypeError(f"{name}: must be a list of {name}, not one string.")
    items = list(values)
    if not items:
        raise ValueError(f"{name}: the list is empty. Give None for all {name}.")
    if any(kind is bool or not issubclass(kind, str | int) for kind in {*map(type, items)}):
        raise TypeError(f"{name}: not every item of the list is text. Give a list of texts.")
    return dict(zip(_name_items(name, len(items)), map(str, items), strict=True))


@lru_cache(16)
def _name_items(name: str, number: int) -> tuple[str, ...]:
    """Return the names of the parameters of a list. The requests of a plan have the same ones."""
    return tuple(f"{name}[{place}]" for place in range(number))


def write_server_time(name: str, value: Any) -> str:
    """Return a date and time in the server's own time zone as text.

    Raises:
        TypeError: It is not a datetime.
        ValueError: It has a time zone.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"{name}: must be a datetime, not {type(value).__name__}.")
    if value.tzinfo is not None:
        raise ValueError(
            f"{name}: has a time zone, which REDCap cannot read. Give a datetime in the server's "
            "own time zone, without tzinfo."
        )
    return f"{value:%Y-%m-%d %H:%M:%S}"
