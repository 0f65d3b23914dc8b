"""Logic as a tree of frozen values."""

from collections.abc import Iterator
from dataclasses import dataclass, field

Parts = tuple[str, ...]
"""A reference by what stands in its brackets: ``[event][field(code)][instance]``."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A number or a text of the logic itself."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """What stands for a value of the record."""

    parts: Parts


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator between two values."""

    sign: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions joined by ``and`` or by ``or``, however many."""

    word: str
    conditions: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its arguments; ``not`` and the minus before a value are two of them."""

    name: str
    arguments: "tuple[Node, ...]"


Node = Literal | Reference | Operation | Junction | Function


def list_references(node: Node) -> Iterator[Parts]:
    """All references of a tree."""
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
