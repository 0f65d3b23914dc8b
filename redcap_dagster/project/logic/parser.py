"""The parser of logic. From weak to strong: or, and, not, comparisons, + -, * / %, minus, ^."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from redcap_dagster.project.logic.functions import FUNCTIONS
from redcap_dagster.project.logic.tokens import LogicError, Token, tokenize
from redcap_dagster.project.logic.tree import (
    Function,
    Junction,
    Literal,
    Node,
    Operation,
    Reference,
    SmartVariable,
)

# Words without quotes, such as the last argument of datediff.
_WORDS: Final = {"true": "1", "false": "0", "today": "today", "now": "now"}
_PART: Final = re.compile(r"\[([^\[\]]+)\]")
_FIELD: Final = re.compile(r"([A-Za-z0-9_]*[A-Za-z_][A-Za-z0-9_]*)(?:\((.+)\)|:value)?", re.DOTALL)
_INSTANCE: Final = re.compile(r"[0-9]{1,9}|(first|last|current|previous|next|new)-instance")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_ARITIES: Final[Mapping[str, tuple[int, int]]] = {
    "if": (3, 3),
    "not": (1, 1),
    **{name: function.arity for name, function in FUNCTIONS.items()},
}
_COMPARISONS: Final = ("=", "<>", "!=", "<", "<=", ">", ">=")


def parse_logic(logic: str) -> Node:
    """Return logic as a tree.

    Raises:
        LogicError: The logic is invalid, or has a function that the sandbox does not know.

    Example:
        >>> parse_logic("not ([a] = 1)")
        Function(name='not', arguments=(Operation(sign='=', left=Reference(field='a', code=None, \
event='', instance=''), right=Literal()),))
    """
    try:
        return _Parser(tokenize(logic)).parse()
    except RecursionError:
        raise LogicError("it is nested too deeply") from None


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def parse(self) -> Node:
        node = self._parse_condition()
        if self._token.kind != "end":
            raise self._make_error()
        return node

    # -- from weak to strong ----------------------------------------------------------------

    def _parse_condition(self) -> Node:
        return self._parse_junction("or", "||", self._parse_conjunction)

    def _parse_conjunction(self) -> Node:
        return self._parse_junction("and", "&&", self._parse_negation)

    def _parse_junction(self, word: str, sign: str, part: Callable[[], Node]) -> Node:
        conditions = [part()]
        while self._accept(sign) or self._accept(word):
            conditions.append(part())
        return conditions[0] if len(conditions) == 1 else Junction(word, tuple(conditions))

    def _parse_negation(self) -> Node:
        if self._accept("not") or self._accept("!"):
            return Function("not", (self._parse_negation(),))
        return self._parse_operations(_COMPARISONS, self._parse_sum)

    def _parse_sum(self) -> Node:
        return self._parse_operations(("+", "-"), self._parse_product)

    def _parse_product(self) -> Node:
        return self._parse_operations(("*", "/", "%"), self._parse_signed)

    def _parse_operations(self, signs: tuple[str, ...], part: Callable[[], Node]) -> Node:
        node = part()
        while self._token.kind == "sign" and self._token.text in signs:
            sign = self._take().text
            node = Operation("<>" if sign == "!=" else sign, node, part())
        return node

    def _parse_signed(self) -> Node:
        if self._accept("-"):
            return Function("minus", (self._parse_signed(),))
        if self._accept("+"):
            return self._parse_signed()
        base = self._parse_value()
        return Operation("^", base, self._parse_signed()) if self._accept("^") else base

    def _parse_value(self) -> Node:
        token = self._take()
        match token.kind:
            case "number":
                return Literal(token.text)
            case "text":
                return Literal(token.text[1:-1])
            case "reference":
                return _read_reference(token)
            case "name" if token.text.lower() in _WORDS:
                return Literal(_WORDS[token.text.lower()])
            case "name":
                return self._parse_function(token)
        if token.text == "(":
            node = self._parse_condition()
            self._expect(")")
            return node
        raise LogicError(f"it cannot be read at character {token.at + 1}")

    def _parse_function(self, token: Token) -> Node:
        name = token.text.lower()
        self._expect("(")
        if name not in _ARITIES:
            raise LogicError(f"this sandbox does not know the function at character {token.at + 1}")
        arguments: list[Node] = []
        if not self._accept(")"):
            arguments.append(self._parse_condition())
            while self._accept(","):
                arguments.append(self._parse_condition())
            self._expect(")")
        least, most = _ARITIES[name]
        if not least <= len(arguments) <= most:
            raise LogicError(f"{name} has too few or too many arguments")
        return Function(name, tuple(arguments))

    # -- tokens -----------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._token
        self._next += token.kind != "end"
        return token

    def _accept(self, text: str) -> bool:
        """Take the next token if it is this sign or word, and return whether it is."""
        token = self._token
        found = token.kind in ("sign", "name") and token.text.lower() == text
        self._next += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._make_error()

    def _make_error(self) -> LogicError:
        return LogicError(f"it cannot be read at character {self._token.at + 1}")


def _read_reference(token: Token) -> Reference | SmartVariable:
    """Return the value that a reference in brackets names."""
    *rest, last = (part.strip() for part in _PART.findall(token.text))
    event = instance = ""
    if rest and _INSTANCE.fullmatch(last.lower()):
        instance, last = last.lower(), rest.pop()
    if rest:
        event = rest.pop().lower()
    if rest:
        raise LogicError(f"the reference at character {token.at + 1} has too many parts")
    field = _FIELD.fullmatch(last)
    if field:
        code = field[2]
        return Reference(field[1].lower(), code and code.strip(), event, instance)
    name, *arguments = (part.strip() for part in last.split(":"))
    if not _NAME.fullmatch(name):
        raise LogicError(f"the reference at character {token.at + 1} is not a field")
    return SmartVariable(name.lower(), tuple(arguments), event, instance)
