"""Run it: ``python -m tests.soak --minutes 5``; with ``--seed``, the same once more."""

import argparse
import logging
import secrets

from tests.soak.run import soak, until
from tests.soak.verdict import WHOLE, Tally


def main() -> None:
    """Soak, and fail where asking again did not mend what it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    parser.add_argument("--minutes", type=float, default=5)
    given = parser.parse_args()
    logging.getLogger("redcap_dagster").setLevel(logging.CRITICAL)  # of retries, thousands
    print(f"seed {given.seed}, {given.minutes:g} minutes", flush=True)
    tally = soak(given.seed, until(given.minutes))
    print(report(tally))
    if tally.mended < 0.99 * tally.mendable:
        parser.exit(1, "Too few of the exports that can be mended were.\n")


def report(tally: Tally) -> str:
    """Write how it went, by end and by trouble."""
    lines = [f"{tally.exports} exports; none was lost without a word.", ""]
    lines += [f"{count:7}  {end}" for end, count in tally.ends.most_common()]
    share = tally.mended / max(1, tally.mendable)
    lines += ["", f"Of {tally.mendable} that asking again can mend, {share:.2%} are whole.", ""]
    for kind, ends in sorted(tally.troubles.items()):
        others = ", ".join(f"{end} {count}" for end, count in ends.most_common() if end != WHOLE)
        lines.append(f"{kind:20}{ends[WHOLE]:6} whole  {others}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
