"""Logic cut into tokens."""

import re
from dataclasses import dataclass, field
from typing import Final

LONGEST: Final = 100_000
"""Characters of logic that are read; REDCap's own limit is not known."""

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
    """Logic that is not REDCap's, or that is not known here; the text holds no value of it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of logic: what kind it is, its text and where it begins."""

    kind: str
    text: str = field(repr=False)
    at: int


def tokenize(logic: str) -> list[Token]:
    """Cut logic into tokens, the last of which is its end.

    Raises:
        LogicError: Something in it is no token.

    Example:
        >>> [token.text for token in tokenize("[a][b(2)]<>'x y' and c(1)")]
        ['[a][b(2)]', '<>', "'x y'", 'and', 'c', '(', '1', ')', '']
    """
    if len(logic) > LONGEST:
        raise LogicError(f"it has more than {LONGEST} characters")
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
