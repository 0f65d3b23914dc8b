"""Exports one after the other, each with random troubles."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import Random

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from tests.soak.clock import ZONE, Clock
from tests.soak.selection import ExportSelection, draw_selection
from tests.soak.study import SHAPES, Study
from tests.soak.troubles import READ_TIMEOUT, Trouble, draw_troubles
from tests.soak.verdict import COMPLETE, Tally, WrongExportError, export_once

VERSIONS = ("14.7.3", "17.4.1")  # the newer one sends no header without rows
FORMS = ("visit", "drug", "lab")
BACKOFF = 0.001


def run_soak(
    seed: int, continues: Callable[[Tally], bool], print_line: Callable[[str], object] = print
) -> Tally:
    """Export while ``continues`` returns True, and return the outcomes.

    Raises:
        WrongExportError: An export was wrong, or its error shows a value or the token.
    """
    tally = Tally()
    with ExitStack() as stack:
        clock = Clock()
        stack.enter_context(clock.patch_client())
        studies = list(_make_studies(seed, clock, stack))
        random = Random(seed)  # noqa: S311
        while continues(tally):
            study = random.choice(studies)
            study.random.seed(f"{seed} {tally.exports}")
            troubles = draw_troubles(study)
            forms = sorted(random.sample(FORMS, random.randint(1, 3)))
            selection = draw_selection(study, forms)
            client = _make_client(study, random)
            description = _describe_export(seed, tally.exports, study, selection, troubles)
            try:
                outcome = export_once(study, client, selection, troubles)
            except WrongExportError as error:
                error.add_note(description)
                raise
            if not tally.add(troubles, outcome):
                print_line(f"{outcome}, although it is recoverable:\n{description}")
            study.give_rights_back()
    return tally


def _make_studies(seed: int, clock: Clock, stack: ExitStack) -> Iterator[Study]:
    for version in VERSIONS:
        sandbox = stack.enter_context(Sandbox(version, time_zone=ZONE, clock=clock))
        for kind in SHAPES:
            yield Study(sandbox, Random(f"{seed} {version} {kind}"), kind, clock)  # noqa: S311


def _make_client(study: Study, random: Random) -> REDCapClient:
    return REDCapClient(
        study.sandbox.url,
        study.token,
        read_timeout=READ_TIMEOUT,
        backoff=BACKOFF,
        max_cells=random.choice([None, 200, 1000, 500_000]),
        max_records=random.choice([None, 10, 800]),
        concurrency=random.choice([1, 2, 3]),
    )


def _describe_export(
    seed: int, number: int, study: Study, selection: ExportSelection, troubles: list[Trouble]
) -> str:
    lines = [
        f"seed {seed}, export {number}: REDCap {study.sandbox.version}, {study.kind}",
        f"  {selection.kind} of {selection.forms}",
        *(f"  {each.kind}: {each.fault}, {each.content}, after {each.after}, times {each.times}"
          for each in troubles),
    ]  # fmt: skip
    return "\n".join(lines)


def make_time_limit(
    minutes: float, print_line: Callable[[str], object] = print
) -> Callable[[Tally], bool]:
    """Return a function that is True for some minutes, and prints progress meanwhile."""
    began = printed = time.monotonic()

    def continues(tally: Tally) -> bool:
        nonlocal printed
        now = time.monotonic()
        if now - printed >= 10:
            printed = now
            print_line(
                f"{now - began:5.0f} s  {tally.exports} exports, "
                f"{tally.outcomes[COMPLETE]} complete"
            )
        return now - began < 60 * minutes

    return continues
