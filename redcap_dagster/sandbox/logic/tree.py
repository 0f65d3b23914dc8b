"""Logic as a tree of frozen values."""

from collections.abc import Iterator
from dataclasses import dataclass, field

Parts = tuple[str, ...]
"""The parts of a reference in brackets: ``[event][field(code)][instance]``."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A number or a text."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to a value of the record."""

    parts: Parts


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with its two values."""

    sign: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by ``and`` or by ``or``."""

    word: str
    conditions: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its arguments; ``not`` and the minus sign of a value are functions too."""

    name: str
    arguments: "tuple[Node, ...]"


Node = Literal | Reference | Operation | Junction | Function


def list_references(node: Node) -> Iterator[Parts]:
    """Yield the parts of all references of a tree."""
    waiting = [node]
    while waiting:
        match waiting.pop():
            case Reference(parts):
                yield parts
            case Operation(_, left, right):
                waiting += [left, right]
            case Junction(_, several) | Function(_, several):
                waiting += several
            case Literal():
                pass
