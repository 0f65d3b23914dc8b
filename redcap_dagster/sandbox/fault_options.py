"""Faults of the command line: one text each, of a kind and its parameters as NAME=VALUE."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from redcap_dagster.sandbox import faults
from redcap_dagster.sandbox.server import Sandbox
from redcap_dagster.sandbox.store.rights import Rights

T = TypeVar("T")

_CONSTANTS: Final[Mapping[str, faults.Fault]] = {
    "web-page": faults.WEB_PAGE,
    "out-of-memory": faults.OUT_OF_MEMORY,
    "no-database": faults.NO_DATABASE,
    "empty": faults.EMPTY,
}
_CLASSES: Final[Mapping[str, type[Any]]] = {
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

KINDS: Final = (*_CLASSES, *_CONSTANTS, _RIGHTS)
"""Kinds of faults that `read_fault` knows."""


@dataclass(frozen=True, slots=True)
class _Timing:
    """Which requests a fault intercepts; see `Sandbox.inject`."""

    content: str | None = None
    after: int = 0
    times: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault, or a change of the user's rights, that a sandbox is to start with."""

    timing: _Timing
    fault: faults.Fault | None = None
    rights: Mapping[str, str] | None = None

    def inject(self, sandbox: Sandbox, token: str) -> None:
        """Inject the fault into a sandbox, or change the rights of the token's user."""
        change = faults.Meanwhile(lambda: sandbox.set_rights(token, self.rights or {}))
        sandbox.inject(self.fault or change, **asdict(self.timing))


def read_fault(text: str) -> PlannedFault:
    """Return the fault that a text describes.

    Args:
        text: Kind of the fault, then its parameters and ``content``, ``after`` and ``times`` as
            NAME=VALUE, with the quotes of a shell.

    Raises:
        ValueError: There is no such kind of fault, or a parameter is invalid.

    Example:
        >>> read_fault("cut share=0.2 content=record times=2").fault
        Cut(share=0.2, end='length')
    """
    kind, *words = shlex.split(text) or [""]
    pairs = [word.partition("=") for word in words]
    if not all(name and equals for name, equals, _ in pairs):
        raise ValueError("After the kind of fault, give its parameters as NAME=VALUE.")
    given = {name: value for name, _, value in pairs}
    names = [each.name for each in fields(_Timing)]
    timing = _build(_Timing, {name: given.pop(name) for name in names if name in given})
    if kind == _RIGHTS:
        Rights.from_row(given)
        return PlannedFault(timing, rights=given)
    if kind in _CONSTANTS:
        if given:
            raise ValueError(f"The fault {kind} takes no parameters but {', '.join(names)}.")
        return PlannedFault(timing, _CONSTANTS[kind])
    if kind in _CLASSES:
        return PlannedFault(timing, _build(_CLASSES[kind], given))
    raise ValueError(f"There is no fault of this kind. The kinds are: {', '.join(KINDS)}.")


def _build(kind: type[T], given: Mapping[str, str]) -> T:
    """Return a value of a dataclass, each field read from its text."""
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    if unknown := sorted(given.keys() - set(names)):
        raise ValueError(
            f"{', '.join(unknown)}: not a parameter of this fault, which takes "
            f"{', '.join(names) or 'none'}."
        )
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        invalid = [f"{each['loc'][0]}: {each['msg']}" for each in error.errors()]
    raise ValueError("; ".join(invalid))
