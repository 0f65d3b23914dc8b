"""A fault as one text, as a shell gives it: its kind, then what is said of it as NAME=VALUE."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from redcap_dagster.sandbox import faults
from redcap_dagster.sandbox.http.exchange import Fault
from redcap_dagster.sandbox.server import Sandbox
from redcap_dagster.sandbox.store.rights import Rights

T = TypeVar("T")

_READY: Final[Mapping[str, Fault]] = {
    "web-page": faults.WEB_PAGE,
    "out-of-memory": faults.OUT_OF_MEMORY,
    "no-database": faults.NO_DATABASE,
    "empty": faults.EMPTY,
}
_KINDS: Final[Mapping[str, type[Any]]] = {
    "status": faults.Status,
    "redirect": faults.Redirect,
    "firewall": faults.Firewall,
    "ban": faults.Ban,
    "memory-limit": faults.MemoryLimit,
    "dropped-records": faults.DroppedRecords,
    "delimiter": faults.Delimiter,
    "latin1": faults.Latin1,
    "cut": faults.Cut,
    "reset": faults.Reset,
    "slow-first-byte": faults.SlowFirstByte,
    "slow-trickle": faults.SlowTrickle,
    "cost": faults.Cost,
}
_RIGHTS: Final = "rights"

KINDS: Final = (*_KINDS, *_READY, _RIGHTS)
"""The kinds of faults that a text can name."""


@dataclass(frozen=True, slots=True)
class _When:
    """When a fault strikes; see `Sandbox.inject`."""

    content: str | None = None
    after: int = 0
    times: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault to inject, or else rights that the token's user then has."""

    when: _When
    fault: Fault | None = None
    rights: Mapping[str, str] | None = None

    def inject(self, sandbox: Sandbox, token: str) -> None:
        """Put the fault before a sandbox, in which the token is known."""
        change = faults.Meanwhile(lambda: sandbox.set_rights(token, self.rights or {}))
        sandbox.inject(self.fault or change, **asdict(self.when))


def read_fault(text: str) -> PlannedFault:
    """Read a fault.

    Raises:
        ValueError: There is no such fault; the text says what is wrong.

    Example:
        >>> read_fault("cut share=0.2 content=record times=2").fault
        Cut(share=0.2, end='length')
    """
    kind, *words = shlex.split(text) or [""]
    pairs = [word.partition("=") for word in words]
    if not all(name and equals for name, equals, _ in pairs):
        raise ValueError("After the kind of fault, give NAME=VALUE.")
    given = {name: value for name, _, value in pairs}
    names = [each.name for each in fields(_When)]
    when = _made(_When, {name: given.pop(name) for name in names if name in given})
    if kind == _RIGHTS:
        Rights.of_row(given)
        return PlannedFault(when, rights=given)
    if kind in _READY and not given:
        return PlannedFault(when, _READY[kind])
    if kind in _KINDS:
        return PlannedFault(when, _made(_KINDS[kind], given))
    raise ValueError("There is no such kind of fault, or nothing else can be said of it.")


def _made(kind: type[T], given: Mapping[str, str]) -> T:
    """Make a value from texts, each read as the type of its field."""
    known = TypeAdapter(kind)
    unknown = given.keys() - {each.name for each in fields(kind)}  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: not said of this kind of fault.")
    try:
        return known.validate_python(given)
    except ValidationError as error:
        wrong = [f"{each['loc'][0]}: {each['msg']}" for each in error.errors()]
    raise ValueError("; ".join(wrong))
