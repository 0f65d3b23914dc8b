"""The tokens of logic."""

import re
from dataclasses import dataclass, field
from typing import Final

MAX_LENGTH: Final = 100_000
"""Most characters of logic; REDCap's limit is not known."""

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)
        |(?P<text>'[^']*'|"[^"]*")
        |(?P<reference>\[[^\[\]]+\](?:\[[^\[\]]+\])*)
        |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
        |(?P<sign><>|!=|<=|>=|&&|\|\||[-=<>+*/^%!(),])
        |(?P<end>$)
    )""",
    re.VERBOSE,
)


class LogicError(ValueError):
    """Logic that is invalid or that the sandbox does not know; the message has no value of it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of logic: its kind, its text and its position."""

    kind: str
    text: str = field(repr=False)
    at: int


def tokenize(logic: str) -> list[Token]:
    """Return the tokens of logic; the last one marks the end.

    Raises:
        LogicError: The logic is too long, or a part of it is not a token.

    Example:
        >>> [token.text for token in tokenize("[a][b(2)]<>'x y' and c(1)")]
        ['[a][b(2)]', '<>', "'x y'", 'and', 'c', '(', '1', ')', '']
    """
    if len(logic) > MAX_LENGTH:
        raise LogicError(f"it has more than {MAX_LENGTH} characters")
    logic = logic.rstrip()
    tokens: list[Token] = []
    at = 0
    while not tokens or tokens[-1].kind != "end":
        found = _TOKEN.match(logic, at)
        if found is None or found.lastgroup is None:
            raise LogicError(f"it cannot be read at character {at + 1}")
        kind = found.lastgroup
        tokens.append(Token(kind, found[kind], found.start(kind)))
        at = found.end()
    return tokens
