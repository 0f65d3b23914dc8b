"""Line coverage of what this package is made of, without and with responses of real servers.

Run it: ``python -m tests.compare_coverage``. What those responses prove is to be proven without
them too, as a clone that stands alone does not have them.
"""

import os
import subprocess
import sys
from pathlib import Path

from coverage import Coverage

PACKAGES = ("api", "project", "tables")
LEAST = 0.97
"""The part of the coverage with the responses that is to be reached without them."""

REAL = Path("tests", "fixture_projects")


def run(*tests: str) -> None:
    """Run tests, and add the lines that they reach to those that were reached before."""
    covered = [f"--cov=redcap_dagster.{package}" for package in PACKAGES]
    pytest = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup"]
    chosen = ["-m", "not slow", *covered, "--cov-append", "--cov-report="]
    subprocess.run([*pytest, *chosen, *tests], check=True)


def measure() -> dict[str, float]:
    """Return the percentage of each package's lines that were reached so far."""
    coverage = Coverage()
    coverage.load()
    with Path(os.devnull).open("w") as nowhere:
        return {
            package: coverage.report(include=f"redcap_dagster/{package}/*", file=nowhere)
            for package in PACKAGES
        }


def main() -> None:
    """Print both, and fail where too little is reached without the responses."""
    Coverage().erase()
    run("tests/clients", *(f"{top}/{p}" for p in PACKAGES for top in ("tests", "redcap_dagster")))
    alone = measure()
    if not Path("..", "shared", "fixtures").is_dir():
        print(*(f"{package}: {lines:.1f}%" for package, lines in alone.items()), sep="\n")
        return
    run(str(REAL))
    both = measure()
    for package in PACKAGES:
        print(f"{package}: {alone[package]:.1f}% without {REAL}, {both[package]:.1f}% with it")
    sys.exit(any(alone[package] < LEAST * both[package] for package in PACKAGES))


if __name__ == "__main__":
    main()
