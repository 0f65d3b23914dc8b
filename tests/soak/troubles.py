"""What goes wrong in one export: faults of every kind of the sandbox, as chance has it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from redcap_dagster.sandbox.faults import (
    EMPTY,
    NO_DATABASE,
    OUT_OF_MEMORY,
    WEB_PAGE,
    Ban,
    Cost,
    Cut,
    Delimiter,
    DroppedRecords,
    Firewall,
    Latin1,
    Meanwhile,
    MemoryLimit,
    Redirect,
    Reset,
    SlowFirstByte,
    SlowTrickle,
    Status,
)
from redcap_dagster.sandbox.http.fault import Fault
from tests.soak.study import CANARY, Study

PAGE = f"<html><body>{CANARY}</body></html>"
FOR_EVER = 3600.0
READ_TIMEOUT = 2.0
"""Seconds that the client waits; what is slow for ever costs so many."""


@dataclass(frozen=True)
class Trouble:
    """A fault, and when it stands in the way; see `Sandbox.inject`.

    Attributes:
        kind: The name of the fault, as in docs/faults.md.
        mends: Whether asking again, or for less, gets the truth all the same.
    """

    kind: str
    fault: Fault
    content: str | None
    after: int
    times: int | None
    mends: bool

    def inject(self, study: Study) -> None:
        study.sandbox.inject(self.fault, content=self.content, after=self.after, times=self.times)


def _status(chance: Random) -> Fault:
    body, kind = chance.choice([(PAGE, "text/html"), (CANARY, "text/plain")])
    return Status(chance.choice([429, 500, 502, 503, 504]), body, kind)


# What passes: the client asks again. Each stands in the way of one, two or three requests.
PASSING: Mapping[str, Callable[[Random], Fault]] = {
    "status": _status,
    "no database": lambda _: NO_DATABASE,
    "cut, length": lambda chance: Cut(chance.random(), "length"),
    "cut, chunks": lambda chance: Cut(chance.random(), "chunks"),
    "cut, close": lambda chance: Cut(chance.random(), "close"),
    "reset": lambda _: Reset(),
}
SLOW: Mapping[str, Callable[[Random], Fault]] = {
    "slow first byte": lambda _: SlowFirstByte(FOR_EVER),
    "slow trickle": lambda _: SlowTrickle(FOR_EVER, piece=7),
    "cost": lambda _: Cost(per_record=FOR_EVER, at_most=FOR_EVER),
}
# What is there all the time, and asks for patience or for less.
LIMITS: Mapping[str, Callable[[Random], Fault]] = {
    "a slow first byte": lambda _: SlowFirstByte(0.005),
    "a trickle": lambda _: SlowTrickle(0.0005, piece=256),
    "a cost": lambda _: Cost(per_record=0.0001, per_cell=0.00001),
    "firewall": lambda chance: Firewall(chance.randint(1, 20)),
    "memory": lambda chance: MemoryLimit(chance.randint(900, 2500)),
}
# What no asking mends as long as it is there. Standing there once, it may be mended.
LASTING: Mapping[str, Callable[[Random], Fault]] = {
    "403": lambda _: Status(403, PAGE),
    "404": lambda _: Status(404, PAGE),
    "web page": lambda _: WEB_PAGE,
    "PHP without memory": lambda _: OUT_OF_MEMORY,
    "empty": lambda _: EMPTY,
    "redirect": lambda _: Redirect(f"https://elsewhere.example/?{CANARY}"),
    "semicolons": lambda _: Delimiter(";"),
    "Latin-1": lambda _: Latin1(),
    "ban": lambda chance: Ban(chance.randint(0, 6)),
}
# What takes rows away without a word; only once, as nobody can tell what is never there.
SILENT: Mapping[str, Callable[[Random], Fault]] = {
    "dropped": lambda chance: DroppedRecords(chance.choice([1, 2, 3, 5, 8, 100])),
    "cut, whole": lambda chance: Cut(chance.random(), "whole"),
}
RIGHTS: Mapping[str, Callable[[Study], None]] = {
    "export lost": lambda study: study.take_rights(api_export=0),
    "group given": lambda study: study.take_rights(data_access_group="north"),
    "form hidden": lambda study: study.take_rights(
        forms_export={study.chance.choice(["drug", "lab"]): 0}
    ),
    "log hidden": lambda study: study.take_rights(logging=0),
}


def draw_troubles(study: Study) -> list[Trouble]:
    """Let chance say what goes wrong in one export, and what others do meanwhile."""
    chance = study.chance
    troubles: list[Trouble] = []
    for _ in range(chance.choice([0, 1, 1, 1, 2])):
        name = chance.choices(["passing", "slow", "limit", "lasting", "rights"], [8, 0.3, 4, 2, 1])
        troubles.append(_DRAWN[name[0]](study))
    if chance.random() < 0.25:
        kind = chance.choice(list(SILENT))
        mends = kind == "dropped"
        after = chance.randint(0, 3)
        troubles.append(Trouble(kind, SILENT[kind](chance), "record", after, 1, mends))
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        # Injected last, it stands first: it happens whatever becomes of the answer.
        after = chance.randint(0, 8)
        troubles.append(Trouble("change", Meanwhile(study.change), None, after, 1, True))
    if chance.random() < 0.1:
        study.clock.approach()
        leap = Meanwhile(study.clock.leap)
        troubles.append(Trouble("clocks put", leap, None, chance.randint(1, 6), 1, True))
    return troubles


def _content(chance: Random) -> str | None:
    return chance.choice(["record", "record", "record", None])


def _passing(study: Study) -> Trouble:
    chance = study.chance
    kind = chance.choice(list(PASSING))
    times = chance.randint(1, 3)
    fault = PASSING[kind](chance)
    return Trouble(kind, fault, _content(chance), chance.randint(0, 5), times, True)


def _slow(study: Study) -> Trouble:
    chance = study.chance
    kind = chance.choice(list(SLOW))
    return Trouble(kind, SLOW[kind](chance), "record", chance.randint(0, 3), 1, True)


def _limit(study: Study) -> Trouble:
    chance = study.chance
    kind = chance.choice(list(LIMITS))
    # What a firewall refuses looks like a ban, after which nobody should ask again.
    return Trouble(kind, LIMITS[kind](chance), "record", 0, None, kind != "firewall")


def _lasting(study: Study) -> Trouble:
    chance = study.chance
    kind = chance.choice(list(LASTING))
    times = chance.choice([1, None])
    fault = LASTING[kind](chance)
    return Trouble(kind, fault, _content(chance), chance.randint(0, 5), times, False)


def _rights(study: Study) -> Trouble:
    chance = study.chance
    kind = chance.choice(list(RIGHTS))
    lose = Meanwhile(lambda: RIGHTS[kind](study))
    return Trouble(kind, lose, None, chance.randint(0, 6), 1, False)


_DRAWN: Mapping[str, Callable[[Study], Trouble]] = {
    "passing": _passing,
    "slow": _slow,
    "limit": _limit,
    "lasting": _lasting,
    "rights": _rights,
}
