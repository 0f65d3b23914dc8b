"""The troubles of one export: random faults of every kind, and changes meanwhile."""

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
ENDLESS = 3600.0
READ_TIMEOUT = 2.0
"""Seconds that the client waits for a response; each endless fault takes that long."""


@dataclass(frozen=True)
class Trouble:
    """A fault, and which requests it intercepts; see `Sandbox.inject`.

    Attributes:
        kind: Name in the report.
        fault: Fault to inject.
        content: Content of the requests, or None for all.
        after: How many of these requests pass first.
        times: How many requests it intercepts, or None for all.
        recoverable: Whether retries or smaller requests lead to a complete export.
    """

    kind: str
    fault: Fault
    content: str | None
    after: int
    times: int | None
    recoverable: bool

    def inject(self, study: Study) -> None:
        study.sandbox.inject(self.fault, content=self.content, after=self.after, times=self.times)


def _draw_status(random: Random) -> Fault:
    body, kind = random.choice([(PAGE, "text/html"), (CANARY, "text/plain")])
    return Status(random.choice([429, 500, 502, 503, 504]), body, kind)


# Temporary faults, which retries overcome. Each intercepts one, two or three requests.
PASSING: Mapping[str, Callable[[Random], Fault]] = {
    "status": _draw_status,
    "no database": lambda _: NO_DATABASE,
    "cut, length": lambda random: Cut(random.random(), "length"),
    "cut, chunks": lambda random: Cut(random.random(), "chunks"),
    "cut, close": lambda random: Cut(random.random(), "close"),
    "reset": lambda _: Reset(),
}
SLOW: Mapping[str, Callable[[Random], Fault]] = {
    "slow first byte": lambda _: SlowFirstByte(ENDLESS),
    "slow trickle": lambda _: SlowTrickle(ENDLESS, piece=7),
    "cost": lambda _: Cost(per_record=ENDLESS, at_most=ENDLESS),
}
# Permanent limits, which patience or smaller requests overcome.
LIMITS: Mapping[str, Callable[[Random], Fault]] = {
    "a slow first byte": lambda _: SlowFirstByte(0.005),
    "a trickle": lambda _: SlowTrickle(0.0005, piece=256),
    "a cost": lambda _: Cost(per_record=0.0001, per_cell=0.00001),
    "firewall": lambda random: Firewall(random.randint(1, 20)),
    "memory": lambda random: MemoryLimit(random.randint(900, 2500)),
}
# Faults that no retry overcomes while they last; after one request, a retry may overcome them.
LASTING: Mapping[str, Callable[[Random], Fault]] = {
    "403": lambda _: Status(403, PAGE),
    "404": lambda _: Status(404, PAGE),
    "web page": lambda _: WEB_PAGE,
    "PHP without memory": lambda _: OUT_OF_MEMORY,
    "empty": lambda _: EMPTY,
    "redirect": lambda _: Redirect(f"https://elsewhere.example/?{CANARY}"),
    "semicolons": lambda _: Delimiter(";"),
    "Latin-1": lambda _: Latin1(),
    "ban": lambda random: Ban(random.randint(0, 6)),
}
# Lost rows without an error; only once, because rows that never come cannot be noticed.
SILENT: Mapping[str, Callable[[Random], Fault]] = {
    "dropped": lambda random: DroppedRecords(random.choice([1, 2, 3, 5, 8, 100])),
    "cut, whole": lambda random: Cut(random.random(), "whole"),
}
RIGHTS: Mapping[str, Callable[[Study], None]] = {
    "export lost": lambda study: study.take_rights(api_export=0),
    "group given": lambda study: study.take_rights(data_access_group="north"),
    "form hidden": lambda study: study.take_rights(
        forms_export={study.random.choice(["drug", "lab"]): 0}
    ),
    "groups hidden": lambda study: study.take_rights(data_access_groups=0),
    "log hidden": lambda study: study.take_rights(logging=0),
}


def draw_troubles(study: Study) -> list[Trouble]:
    """Return the random troubles of one export, changes by another user included."""
    random = study.random
    troubles: list[Trouble] = []
    for _ in range(random.choice([0, 1, 1, 1, 2])):
        name = random.choices(["passing", "slow", "limit", "lasting", "rights"], [8, 0.3, 4, 2, 1])
        troubles.append(_DRAW[name[0]](study))
    if random.random() < 0.25:
        kind = random.choice(list(SILENT))
        recoverable = kind == "dropped"
        after = random.randint(0, 3)
        troubles.append(Trouble(kind, SILENT[kind](random), "record", after, 1, recoverable))
    for _ in range(random.choice([0, 1, 1, 2, 3])):
        # Injected last, it comes first: the change happens whatever the response is.
        after = random.randint(0, 8)
        troubles.append(Trouble("change", Meanwhile(study.change), None, after, 1, True))
    if random.random() < 0.1:
        study.clock.approach()
        advance = Meanwhile(study.clock.advance)
        troubles.append(Trouble("summer time", advance, None, random.randint(1, 6), 1, True))
    return troubles


def _draw_content(random: Random) -> str | None:
    return random.choice(["record", "record", "record", None])


def _draw_passing(study: Study) -> Trouble:
    random = study.random
    kind = random.choice(list(PASSING))
    times = random.randint(1, 3)
    fault = PASSING[kind](random)
    return Trouble(kind, fault, _draw_content(random), random.randint(0, 5), times, True)


def _draw_slow(study: Study) -> Trouble:
    random = study.random
    kind = random.choice(list(SLOW))
    return Trouble(kind, SLOW[kind](random), "record", random.randint(0, 3), 1, True)


def _draw_limit(study: Study) -> Trouble:
    random = study.random
    kind = random.choice(list(LIMITS))
    # A firewall's refusal looks like a ban, after which the client does not retry.
    return Trouble(kind, LIMITS[kind](random), "record", 0, None, kind != "firewall")


def _draw_lasting(study: Study) -> Trouble:
    random = study.random
    kind = random.choice(list(LASTING))
    times = random.choice([1, None])
    fault = LASTING[kind](random)
    return Trouble(kind, fault, _draw_content(random), random.randint(0, 5), times, False)


def _draw_rights(study: Study) -> Trouble:
    random = study.random
    kind = random.choice(list(RIGHTS))
    lose = Meanwhile(lambda: RIGHTS[kind](study))
    return Trouble(kind, lose, None, random.randint(0, 6), 1, False)


_DRAW: Mapping[str, Callable[[Study], Trouble]] = {
    "passing": _draw_passing,
    "slow": _draw_slow,
    "limit": _draw_limit,
    "lasting": _draw_lasting,
    "rights": _draw_rights,
}
