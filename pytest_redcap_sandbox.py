"""The pytest fixture ``redcap_sandbox``, a REDCap on this machine for one test.

pytest finds it once redcap-dagster is installed with its extra ``sandbox``; tests that do not use
it pay nothing for it. A test of a pipeline::

    from redcap_dagster.api import REDCapClient


    def test_saved_visits_are_exported(redcap_sandbox):
        token = redcap_sandbox.add_project(
            exports={"metadata": [{"field_name": "id", "form_name": "visit"}]},
            records=[{"id": "1", "visit_complete": "2"}],
        )

        records = REDCapClient(redcap_sandbox.url, token).export_records()

        assert list(records["visit_complete"]) == ["2"]
"""

# pytest imports this at every start, so it is outside the package, which imports Dagster.

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from redcap_dagster.sandbox import Sandbox


@pytest.fixture
def redcap_sandbox() -> Iterator[Sandbox]:
    """Yield a running `redcap_dagster.sandbox.Sandbox` without projects, for one test.

    `add_project` returns the token of a new project; `inject` adds a fault.
    """
    from redcap_dagster.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox
