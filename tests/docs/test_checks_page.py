"""docs/concepts/checks.md shows the checks that there are, with their defaults."""

import re
from pathlib import Path

from redcap_dagster.checks import CHECKS

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "checks.md"


def test_the_page_shows_every_check_with_its_defaults() -> None:
    page = PAGE.read_text()
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in page.splitlines()
        if re.match(r"\| `\w+` \| `(metadata|records|clean)/", line)
    ]
    shown = {
        name.strip("`"): (where.strip("`").partition("/")[0], severity.partition(";")[0], blocking)
        for name, where, _, severity, blocking in rows
    }
    assert shown == {
        name: (check.layer, check.severity, "yes" if check.blocking else "no")
        for name, check in CHECKS.items()
    }
    assert set(re.findall(r"\*\*`(\w+)`\*\*", page)) == set(CHECKS)
