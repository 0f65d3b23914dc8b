"""Run the soak test: ``python -m tests.soak --minutes 5``; ``--seed`` repeats a run.

Each round is of a drawn dialect. ``--seed N`` with the number of a dialect ``any-N`` begins there.
"""

import argparse
import logging
import secrets

from redcap_dagster.sandbox.dialects import read_dialect
from tests.soak.run import make_time_limit, run_soak
from tests.soak.verdict import COMPLETE, Tally


def main() -> None:
    """Export for some minutes, and fail if one was wrong or too few recovered from faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    logging.getLogger("redcap_dagster").setLevel(logging.CRITICAL)  # thousands of retries
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    tally = run_soak(options.seed, make_time_limit(options.minutes))
    print(write_report(tally))
    if tally.wrong:
        parser.exit(1, "Some exports lost records, or were wrong, without an error.\n")
    if tally.recovered < 0.99 * tally.recoverable:
        parser.exit(1, "Fewer than 99% of the recoverable exports are complete.\n")


def write_report(tally: Tally) -> str:
    """Return the outcomes of all exports, and of those with each kind of trouble."""
    lines = [f"{tally.rounds} rounds, each of a dialect; {tally.exports} exports.", ""]
    lines += [
        f"{len(errors):7}  wrong without an error: {read_dialect(name)}"
        for name, errors in tally.wrong.items()
    ] or ["      0  wrong without an error"]
    lines += [f"{count:7}  {outcome}" for outcome, count in tally.outcomes.most_common()]
    share = tally.recovered / max(1, tally.recoverable)
    lines += ["", f"Of {tally.recoverable} recoverable exports, {share:.2%} are complete.", ""]
    for kind, outcomes in sorted(tally.troubles.items()):
        others = ", ".join(
            f"{outcome} {count}" for outcome, count in outcomes.most_common() if outcome != COMPLETE
        )
        lines.append(f"{kind:20}{outcomes[COMPLETE]:6} complete  {others}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
