"""Values of Python -> parameters of the API, or an error that says which cannot be."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any


def call_parameters(
    content: str, action: str = "", **parameters: str | int | None
) -> dict[str, str]:
    """Write the parameters of a call; those that are None are left out.

    Example:
        >>> call_parameters("arm", "import", override=0, event=None)
        {'content': 'arm', 'format': 'json', 'returnFormat': 'json', 'action': 'import', \
'override': '0'}
    """
    given = {"action": action or None, **parameters}
    always = {"content": content, "format": "json", "returnFormat": "json"}
    return always | {name: str(value) for name, value in given.items() if value is not None}


def write_optional_list(name: str, values: Sequence[str | int] | None) -> dict[str, str]:
    """Write a list that may be None, for all of them."""
    return {} if values is None else write_list(name, values)


def write_flag(name: str, value: bool) -> str | None:
    """Write a switch that is off by default.

    Raises:
        TypeError: It is none, such as the text ``false``.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name}: give True or False.")
    return "true" if value else None


def check_one_of(name: str, value: str, words: Sequence[str]) -> str:
    """Check that a value is one of REDCap's words.

    Raises:
        ValueError: It is another one.
    """
    if value not in words:
        raise ValueError(f"{name}: give one of {', '.join(map(repr, words))}.")
    return value


def check_required(name: str, value: str | int) -> str:
    """Check a text that must be there: REDCap takes a blank one for none.

    Raises:
        TypeError: It is no text.
        ValueError: It is blank.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(f"{name}: give a text.")
    if not str(value).strip():
        raise ValueError(f"{name}: is blank.")
    return str(value)


def check_positive(name: str, value: int | None) -> int | None:
    """Check a number that counts from 1, or None.

    Raises:
        ValueError: It is none.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{name}: give a whole number from 1 on.")
    return value


def write_list(name: str, values: Sequence[str | int]) -> dict[str, str]:
    """Write a list as REDCap takes it: ``records[0]``, ``records[1]``, ...

    Raises:
        TypeError: One string instead of a list, or members that are no text.
        ValueError: An empty list, which REDCap would take for everything.
    """
    if isinstance(values, str | bytes):
        raise TypeError(f"{name}: give a list of {name}, not one string.")
    members = list(values)
    if not members:
        raise ValueError(f"{name}: the list is empty; give None for all of them.")
    if any(isinstance(member, bool) or not isinstance(member, str | int) for member in members):
        raise TypeError(f"{name}: not every member of the list is text.")
    return {f"{name}[{number}]": str(member) for number, member in enumerate(members)}


def write_server_time(name: str, value: Any) -> str:
    """Write a moment of the server's own time zone.

    Raises:
        TypeError: It is none.
        ValueError: It has a time zone.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"{name}: give a datetime.")
    if value.tzinfo is not None:
        raise ValueError(
            f"{name}: REDCap reads it in the server's own time zone; give a datetime of that zone, "
            "without tzinfo."
        )
    return f"{value:%Y-%m-%d %H:%M:%S}"
