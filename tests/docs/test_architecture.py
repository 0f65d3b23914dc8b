"""docs/architecture.md shows the layers that the contracts of import-linter hold."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text()
CONTRACTS: list[dict[str, Any]] = [
    contract
    for contract in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"][
        "importlinter"
    ]["contracts"]
    if contract["type"] == "layers"
]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["containers"][0])
def test_the_page_shows_the_layers_of_a_contract(contract: dict[str, Any]) -> None:
    (container,) = contract["containers"]
    heading = "part of `redcap_dagster`" if container == "redcap_dagster" else f"`{container}`\n"
    table = PAGE.partition(heading)[2].partition("|---|---|\n")[2].partition("\n\n")[0]
    shown = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in table.splitlines()]
    assert shown == [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]
