"""The tokens of logic, without its comments."""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

MAX_LENGTH: Final = 100_000
"""Most characters of logic; REDCap's limit is not known."""

# A comment is never read again as anything else: the group does not backtrack.
_BLANKS: Final = r"(?>\s+|//[^\r\n]*|\#[^\r\n]*|/\*(?s:.*?)\*/)*+"
_TOKEN: Final = re.compile(
    rf"""{_BLANKS}(?:
        (?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)
        |(?P<text>'(?:\\'|[^'])*'|"(?:\\"|[^"])*")
        |(?P<reference>\[[^\[\]]+\](?:\[[^\[\]]+\])*)
        |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
        |(?P<sign><>|!=|<=|>=|&&|\|\||[-=<>+*/^%!(),])
        |(?P<end>\Z)
    )""",
    re.VERBOSE,
)
_COMMENTS: Final = re.compile(_BLANKS, re.VERBOSE)


class LogicError(ValueError):
    """Logic that cannot be read; the message has no value of it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of logic.

    Attributes:
        kind: One of number, text, reference, name, sign and end.
        text: Its text; a name is in lower case.
        at: Its position, from 0.
    """

    kind: str
    text: str = field(repr=False)
    at: int


def tokenize(logic: str) -> list[Token]:
    r"""Return the tokens of logic; the last one marks the end.

    Raises:
        LogicError: The logic is too long, or a part of it is not a token.

    Example:
        >>> [token.text for token in tokenize("[a][b(2)]<>'x y' // not c\n AND d(1)")]
        ['[a][b(2)]', '<>', "'x y'", 'and', 'd', '(', '1', ')', '']
    """
    if len(logic) > MAX_LENGTH:
        raise LogicError(f"it has more than {MAX_LENGTH} characters")
    tokens: list[Token] = []
    at = 0
    while not tokens or tokens[-1].kind != "end":
        found = _TOKEN.match(logic, at)
        if found is None or found.lastgroup is None:
            blanks = _COMMENTS.match(logic, at)
            at = blanks.end() if blanks else at
            raise LogicError(f"it cannot be read at character {at + 1}{_describe(logic[at])}")
        kind, text = found.lastgroup, found[found.lastgroup]
        tokens.append(Token(kind, text.lower() if kind == "name" else text, found.start(kind)))
        at = found.end()
    return tokens


def _describe(character: str) -> str:
    """Return the name of a character that texts bring along, such as a typographic quote."""
    if character.isascii():
        return ""
    return f" ({unicodedata.name(character, 'a character without a name').lower()})"
