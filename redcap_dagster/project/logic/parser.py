"""The parser of logic.

From weak to strong: or, and, not, comparisons, + and -, ``* / %``, minus, ^. Names, words and
fields may be written in capitals.

REDCap documents ^ between two parts in brackets, ``(4)^(3)``, and says that ``4^3`` does not work:
any other power is read, and cannot be said.
"""

import re
from collections.abc import Mapping
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
    measure_depth,
)

MAX_DEPTH: Final = 200
"""Most levels of a tree and of its brackets. People report that REDCap takes some 80."""

# Words without quotes, such as the last argument of datediff.
_WORDS: Final = {"true": "1", "false": "0", "today": "today", "now": "now"}
_COMPARISON: Final = 4
_STRENGTHS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("or", "||"), 1),
    **dict.fromkeys(("and", "&&"), 2),
    **dict.fromkeys(("=", "<>", "!=", "<", "<=", ">", ">="), _COMPARISON),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("*", "/", "%"), 6),
    "^": 8,
}
_NOT: Final = _COMPARISON  # what it applies to
_MINUS: Final = 7
_SAME: Final = {"||": "or", "&&": "and", "!=": "<>"}
_ARITIES: Final[Mapping[str, tuple[int, int | None]]] = {
    "if": (3, 3),
    "not": (1, 1),
    **{name: function.arity for name, function in FUNCTIONS.items()},
}

_PART: Final = re.compile(r"\[([^\[\]]+)\]")
_FIELD: Final = re.compile(r"([A-Za-z0-9_]+)(?:\((.+)\))?(?::value)?", re.DOTALL)
_SMART: Final = re.compile(r"[A-Za-z0-9_-]+")
_INSTANCE: Final = re.compile(r"[0-9]{1,9}|(first|last|current|previous|next|new)-instance")
_EVENT: Final = re.compile(r"[^-]+|((first|last|previous|next)-)?event-name")


def parse_logic(logic: str) -> Node:
    """Return logic as a tree.

    Args:
        logic: Branching logic, a calculation, or the logic of a filter or a data quality rule.

    Raises:
        LogicError: The logic cannot be read. The message says at which character, and names a
            function that is not known; it completes a sentence such as "... is invalid: it ...".

    Example:
        >>> parse_logic("not ([a] = 1)")
        Function(name='not', arguments=(Operation(sign='=', left=Reference(field='a', code=None, \
event='', instance=''), right=Literal()),))
    """
    node = _Parser(tokenize(logic)).parse()
    if measure_depth(node) > MAX_DEPTH:
        raise LogicError("it is nested too deeply")
    return node


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def parse(self) -> Node:
        if self._token.kind == "end":
            raise LogicError("it is blank")
        node = self._parse_operations(1)
        if self._token.kind != "end":
            raise self._make_error()
        return node

    def _parse_operations(self, weakest: int) -> Node:
        """Parse an operand and all operators after it that are at least so strong."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise LogicError("it is nested too deeply")
        has_brackets = self._is_next("(")
        node = self._parse_operand()
        while (strength := self._get_strength()) >= weakest:
            sign = _SAME.get(self._token.text, self._token.text)
            if sign in ("or", "and"):
                node = Junction(sign, self._parse_chain(node, strength))
            elif sign in ("+", "-"):
                node = Function("+", self._parse_chain(node, strength))
            elif sign == "*":
                node = Function("*", self._parse_chain(node, strength, "*"))
            else:
                node = self._parse_right_side(node, sign, has_brackets=has_brackets)
                has_brackets = False
        self._depth -= 1
        return node

    def _parse_chain(self, first: Node, strength: int, only: str = "") -> tuple[Node, ...]:
        """Parse all operands of operators of one strength; one after a minus is negated."""
        parts = [first]
        while self._get_strength() == strength and only in ("", self._token.text):
            sign = self._take().text
            part = self._parse_operations(strength + 1)
            parts.append(Function("-", (part,)) if sign == "-" else part)
        return tuple(parts)

    def _parse_right_side(self, left: Node, sign: str, *, has_brackets: bool) -> Node:
        """Parse the operator after an operand, which may have brackets, and its other operand."""
        strength = _STRENGTHS[self._take().text]
        if sign == "^":
            is_power = has_brackets and self._is_next("(")
            right = self._parse_operand()
            return Operation("^", left, right) if is_power else Function("^", (left, right))
        node = Operation(sign, left, self._parse_operations(strength + 1))
        if strength == _COMPARISON == self._get_strength():
            at = self._token.at + 1
            raise LogicError(f"the sign at character {at} compares a third value")
        return node

    def _parse_operand(self) -> Node:
        token = self._take()
        match token.kind, token.text:
            case "number", text:
                return Literal(text)
            case "text", "'NaN'" | '"NaN"':
                return Literal("")  # an old way to write a blank
            case "text", text:
                return Literal(text[1:-1].replace("\\" + text[0], text[0]))
            case "reference", _:
                return _read_reference(token)
            case ("name", "not") | ("sign", "!"):
                if self._is_next("("):
                    return self._parse_call("not", token)
                return Function("not", (self._parse_operations(_NOT),))
            case "name", name if name in _WORDS:
                return Literal(_WORDS[name])
            case "name", name:
                return self._parse_call(name, token)
            case "sign", "-":
                return Function("-", (self._parse_operations(_MINUS),))
            case "sign", "+":
                return self._parse_operations(_MINUS)
            case "sign", "(":
                node = self._parse_operations(1)
                self._expect(")")
                return node
        raise LogicError(f"it cannot be read at character {token.at + 1}")

    def _parse_call(self, name: str, token: Token) -> Node:
        if not self._is_next("("):
            raise LogicError(f"the word at character {token.at + 1} is not known, or lacks quotes")
        self._take()
        if name not in _ARITIES:
            raise LogicError(f"the function {name} at character {token.at + 1} is not known")
        arguments: list[Node] = []
        if not self._is_next(")"):
            arguments.append(self._parse_operations(1))
            while self._is_next(","):
                self._take()
                arguments.append(self._parse_operations(1))
        self._expect(")")
        least, most = _ARITIES[name]
        if len(arguments) < least or (most is not None and len(arguments) > most):
            raise LogicError(
                f"the function {name} at character {token.at + 1} has {len(arguments)} arguments, "
                f"but takes {_describe_count(least, most)}"
            )
        return Function(name, tuple(arguments))

    # -- tokens -----------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._token
        self._next += token.kind != "end"
        return token

    def _is_next(self, sign: str) -> bool:
        return self._token.kind == "sign" and self._token.text == sign

    def _get_strength(self) -> int:
        """Return the strength of the next token as an operator, 0 if it is not an operator."""
        token = self._token
        return _STRENGTHS.get(token.text, 0) if token.kind in ("sign", "name") else 0

    def _expect(self, sign: str) -> None:
        if not self._is_next(sign):
            raise self._make_error()
        self._take()

    def _make_error(self) -> LogicError:
        return LogicError(f"it cannot be read at character {self._token.at + 1}")


def _describe_count(least: int, most: int | None) -> str:
    if most is None:
        return f"at least {least}"
    return str(least) if least == most else f"{least} to {most}"


def _read_reference(token: Token) -> Reference | SmartVariable:
    """Return what a reference in brackets names."""
    *rest, last = (part.strip() for part in _PART.findall(token.text))
    event = instance = ""
    if rest and _INSTANCE.fullmatch(last.lower()):
        instance, last = last.lower(), rest.pop()
    if rest:
        event = rest.pop().lower()
    if rest:
        raise LogicError(f"the reference at character {token.at + 1} has too many parts")
    if event and not _EVENT.fullmatch(event):
        raise LogicError(f"the reference at character {token.at + 1} does not name an event")
    field = _FIELD.fullmatch(last)
    if field and not field[1].isdecimal():
        code = field[2]
        return Reference(field[1].lower(), code and code.strip(), event, instance)
    name, *arguments = (part.strip() for part in last.split(":"))
    is_modified = bool(arguments) and _FIELD.fullmatch(name) is not None
    if field or not (is_modified or _SMART.fullmatch(name)):
        raise LogicError(f"the reference at character {token.at + 1} does not name a field")
    return SmartVariable(name.lower(), tuple(arguments), event, instance)
