"""Tokens read into a tree. From weak to strong: or, and, not, comparisons, + -, * / %, minus, ^."""

import re
from collections.abc import Callable
from typing import Final

from redcap_dagster.sandbox.logic.functions import FUNCTIONS
from redcap_dagster.sandbox.logic.tokens import LogicError, Token, tokenize
from redcap_dagster.sandbox.logic.tree import (
    Function,
    Junction,
    Literal,
    Node,
    Operation,
    Reference,
)

# What stands without quotes, as the last value of datediff does.
_WORDS: Final = {"true": "1", "false": "0", "today": "today", "now": "now"}
_COMPARISONS: Final = ("=", "<>", "!=", "<", "<=", ">", ">=")


def parse_logic(logic: str) -> Node:
    """Read logic into a tree.

    Raises:
        LogicError: It is not REDCap's grammar, or has a function that is not known here.

    Example:
        >>> parse_logic("not ([a] = 1)")
        Function(name='not', arguments=(Operation(sign='=', left=Reference(parts=('a',)), \
right=Literal()),))
    """
    try:
        return _Parser(tokenize(logic)).whole()
    except RecursionError:
        raise LogicError("it is nested too deeply") from None


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def whole(self) -> Node:
        node = self._condition()
        if self._token.kind != "end":
            raise self._unexpected()
        return node

    # -- from weak to strong ----------------------------------------------------------------

    def _condition(self) -> Node:
        return self._junction("or", "||", lambda: self._junction("and", "&&", self._negation))

    def _junction(self, word: str, sign: str, part: Callable[[], Node]) -> Node:
        conditions = [part()]
        while self._taken(sign) or self._taken(word):
            conditions.append(part())
        return conditions[0] if len(conditions) == 1 else Junction(word, tuple(conditions))

    def _negation(self) -> Node:
        if self._taken("not") or self._taken("!"):
            return Function("not", (self._negation(),))
        return self._operations(_COMPARISONS, self._sum)

    def _sum(self) -> Node:
        return self._operations(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._operations(("*", "/", "%"), self._signed)

    def _operations(self, signs: tuple[str, ...], part: Callable[[], Node]) -> Node:
        node = part()
        while self._token.kind == "sign" and self._token.text in signs:
            sign = self._take().text
            node = Operation("<>" if sign == "!=" else sign, node, part())
        return node

    def _signed(self) -> Node:
        if self._taken("-"):
            return Function("minus", (self._signed(),))
        if self._taken("+"):
            return self._signed()
        base = self._value()
        return Operation("^", base, self._signed()) if self._taken("^") else base

    def _value(self) -> Node:
        token = self._take()
        match token.kind:
            case "number":
                return Literal(token.text)
            case "text":
                return Literal(token.text[1:-1])
            case "reference":
                parts = re.findall(r"\[([^\[\]]+)\]", token.text)
                return Reference(tuple(part.strip() for part in parts))
            case "name" if token.text.lower() in _WORDS:
                return Literal(_WORDS[token.text.lower()])
            case "name":
                return self._function(token)
        if token.text == "(":
            node = self._condition()
            self._need(")")
            return node
        raise LogicError(f"it cannot be read at character {token.at + 1}")

    def _function(self, token: Token) -> Node:
        name = token.text.lower()
        self._need("(")
        if name not in FUNCTIONS:
            raise LogicError(f"this sandbox does not know the function at character {token.at + 1}")
        arguments: list[Node] = []
        if not self._taken(")"):
            arguments.append(self._condition())
            while self._taken(","):
                arguments.append(self._condition())
            self._need(")")
        least, most = FUNCTIONS[name].arity
        if not least <= len(arguments) <= most:
            raise LogicError(f"{name} has not as many values as it needs")
        return Function(name, tuple(arguments))

    # -- tokens -----------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._token
        self._next += token.kind != "end"
        return token

    def _taken(self, text: str) -> bool:
        """Take the next token if it is this sign or word."""
        token = self._token
        found = token.kind in ("sign", "name") and token.text.lower() == text
        self._next += found
        return found

    def _need(self, text: str) -> None:
        if not self._taken(text):
            raise self._unexpected()

    def _unexpected(self) -> LogicError:
        return LogicError(f"it cannot be read at character {self._token.at + 1}")
