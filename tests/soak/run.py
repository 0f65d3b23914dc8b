"""Rounds of exports, each of a dialect of its own; each export has random troubles."""

import time
import traceback
from collections.abc import Callable
from random import Random

from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.dialects import Dialect
from tests.soak.clock import ZONE, Clock
from tests.soak.selection import ExportSelection, draw_selection
from tests.soak.study import SHAPES, Study
from tests.soak.troubles import READ_TIMEOUT, Trouble, draw_troubles
from tests.soak.verdict import COMPLETE, Tally, WrongExportError, export_once

ROUND = 25
FORMS = ("visit", "drug", "lab")
BACKOFF = 0.001


def run_soak(
    seed: int, continues: Callable[[Tally], bool], print_line: Callable[[str], object] = print
) -> Tally:
    """Export while ``continues`` returns True, and return the outcomes.

    An export that is wrong without an error, or whose error shows a value or the token, is one of
    the tally's ``wrong`` ones, and ends its round.
    """
    tally, clock = Tally(), Clock()
    with clock.patch_client():
        while continues(tally):
            dialect = Dialect.draw(seed + tally.rounds)
            with Sandbox(time_zone=ZONE, clock=clock, dialect=dialect) as sandbox:
                try:
                    _run_round(sandbox, clock, tally, continues, print_line)
                except WrongExportError as error:
                    tally.wrong.setdefault(dialect.name, []).append(error)
                    print_line("".join(traceback.format_exception(error)))
            tally.rounds += 1
    return tally


def _run_round(
    sandbox: Sandbox,
    clock: Clock,
    tally: Tally,
    continues: Callable[[Tally], bool],
    print_line: Callable[[str], object],
) -> None:
    random = Random(sandbox.dialect.name)  # noqa: S311
    study = Study(sandbox, random, random.choice(list(SHAPES)), clock)
    for number in range(ROUND):
        if not continues(tally):
            return
        troubles = draw_troubles(study)
        forms = sorted(random.sample(FORMS, random.randint(1, 3)))
        selection = draw_selection(study, forms)
        client = _make_client(study, random)
        description = _describe_export(number, study, selection, troubles)
        try:
            outcome = export_once(study, client, selection, troubles)
        except WrongExportError as error:
            error.add_note(description)
            raise
        if not tally.add(troubles, outcome):
            print_line(f"{outcome}, although it is recoverable:\n{description}")
        study.give_rights_back()


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
    number: int, study: Study, selection: ExportSelection, troubles: list[Trouble]
) -> str:
    lines = [
        f"{study.sandbox.dialect}",
        f"  export {number} of its round, {study.kind}",
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
                f"{now - began:5.0f} s  {tally.rounds} rounds, {tally.exports} exports, "
                f"{tally.outcomes[COMPLETE]} complete, {len(tally.wrong)} dialects with wrong ones"
            )
        return now - began < 60 * minutes

    return continues
