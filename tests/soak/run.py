"""Exports one after the other, each with troubles of its own, for as long as there is time."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import Random

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.soak.clock import ZONE, Clock
from tests.soak.selection import Asked, draw_asked
from tests.soak.study import SHAPES, Study
from tests.soak.troubles import READ_TIMEOUT, Trouble, draw_troubles
from tests.soak.verdict import Tally, ThirdThingError, export_once

VERSIONS = ("14.7.3", "17.4.1")  # the newer one sends no header for no rows
FORMS = ("visit", "drug", "lab")
BACKOFF = 0.001


def soak(seed: int, go_on: Callable[[Tally], bool], tell: Callable[[str], object] = print) -> Tally:
    """Export as long as it is said to go on.

    Raises:
        ThirdThingError: An export was neither the truth of one moment nor a typed error.
    """
    tally = Tally()
    with ExitStack() as stack:
        clock = Clock()
        stack.enter_context(clock.told_to_the_client())
        studies = list(_studies(seed, clock, stack))
        chance = Random(seed)  # noqa: S311
        while go_on(tally):
            study = chance.choice(studies)
            study.chance.seed(f"{seed} {tally.exports}")
            troubles = draw_troubles(study)
            forms = sorted(chance.sample(FORMS, chance.randint(1, 3)))
            asked = draw_asked(study, forms)
            client = _client(study, chance)
            story = _story(seed, tally.exports, study, asked, troubles)
            try:
                end = export_once(study, client, asked, troubles)
            except ThirdThingError as error:
                error.add_note(story)
                raise
            if not tally.add(troubles, end):
                tell(f"{end}, though it can be mended:\n{story}")
            study.give_rights_back()
    return tally


def _studies(seed: int, clock: Clock, stack: ExitStack) -> Iterator[Study]:
    for version in VERSIONS:
        sandbox = stack.enter_context(Sandbox(version, time_zone=ZONE, clock=clock))
        for kind in SHAPES:
            yield Study(sandbox, Random(f"{seed} {version} {kind}"), kind, clock)  # noqa: S311


def _client(study: Study, chance: Random) -> REDCapClient:
    return REDCapClient(
        study.sandbox.url,
        study.token,
        read_timeout=READ_TIMEOUT,
        backoff=BACKOFF,
        max_cells=chance.choice([None, 200, 1000, 500_000]),
        max_records=chance.choice([None, 10, 800]),
        concurrency=chance.choice([1, 2, 3]),
    )


def _story(seed: int, number: int, study: Study, asked: Asked, troubles: list[Trouble]) -> str:
    lines = [
        f"seed {seed}, export {number}: REDCap {study.sandbox.version}, {study.kind}",
        f"  {asked.kind} of {asked.forms}",
        *(f"  {each.kind}: {each.fault}, {each.content}, after {each.after}, times {each.times}"
          for each in troubles),
    ]  # fmt: skip
    return "\n".join(lines)


def until(minutes: float, tell: Callable[[str], object] = print) -> Callable[[Tally], bool]:
    """Go on for some minutes, and tell every ten seconds how far it is."""
    began = told = time.monotonic()

    def go_on(tally: Tally) -> bool:
        nonlocal told
        now = time.monotonic()
        if now - told >= 10:
            told = now
            tell(f"{now - began:5.0f} s  {tally.exports} exports, {tally.ends['whole']} whole")
        return now - began < 60 * minutes

    return go_on
