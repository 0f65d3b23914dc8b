"""Logic as a tree of frozen values."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Literal:
    """A number or a text."""

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to a field's value: ``[event][field(code)][instance]``.

    Attributes:
        field: Field name, in lower case.
        code: Code of a checkbox option. Defaults to None, for any other field.
        event: Unique event name, or a smart variable such as ``previous-event-name``. Defaults to
            a blank, for the event of the row.
        instance: Number, or a smart variable such as ``last-instance``. Defaults to a blank.

    Example:
        >>> str(Reference("race", "2", instance="last-instance"))
        '[race(2)][last-instance]'
    """

    field: str
    code: str | None = None
    event: str = ""
    instance: str = ""

    def __str__(self) -> str:
        """Return the reference as logic has it."""
        field = self.field if self.code is None else f"{self.field}({self.code})"
        return "".join(f"[{part}]" for part in (self.event, field, self.instance) if part)


@dataclass(frozen=True, slots=True)
class SmartVariable:
    """A smart variable: ``[event][name:argument:argument][instance]``.

    Attributes:
        name: Its name, in lower case.
        arguments: What stands after the colons. Defaults to none.
        event: Event, as in a `Reference`. Defaults to a blank.
        instance: Instance, as in a `Reference`. Defaults to a blank.
    """

    name: str
    arguments: tuple[str, ...] = ()
    event: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with its two values; ``!=`` is ``<>``."""

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
    """A function with its arguments.

    ``not`` is one, and so are the signs ``+`` and ``*`` between any number of values, ``-`` before
    a value, and ``^`` without brackets.
    """

    name: str
    arguments: "tuple[Node, ...]"


Node = Literal | Reference | SmartVariable | Operation | Junction | Function


def walk_nodes(node: Node) -> Iterator[Node]:
    """Yield a tree's nodes, each before its parts, from left to right."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(_list_parts(node))


def _list_parts(node: Node) -> "tuple[Node, ...]":
    match node:
        case Operation(_, left, right):
            return left, right
        case Junction(_, parts) | Function(_, parts):
            return parts
    return ()


def measure_depth(node: Node) -> int:
    """Return the number of levels of a tree, which may be more than Python could recurse into."""
    deepest = 0
    waiting = [(node, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += ((part, depth + 1) for part in _list_parts(node))
    return deepest


def list_references(node: Node) -> tuple[Reference, ...]:
    """Return the references of a tree, each once, in their order.

    Example:
        >>> from redcap_dagster.project.logic import parse_logic
        >>> list_references(parse_logic("[a] = 1 or [b(2)] = [a]"))
        (Reference(field='a', code=None, event='', instance=''), \
Reference(field='b', code='2', event='', instance=''))
    """
    found = (each for each in walk_nodes(node) if isinstance(each, Reference))
    return tuple(dict.fromkeys(found))


def list_smart_variables(node: Node) -> tuple[SmartVariable, ...]:
    """Return the smart variables of a tree that stand for a value, each once, in their order."""
    found = (each for each in walk_nodes(node) if isinstance(each, SmartVariable))
    return tuple(dict.fromkeys(found))
