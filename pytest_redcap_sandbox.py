"""A pytest plugin of redcap-dagster: the fixture ``redcap_sandbox``.

It is there as soon as redcap-dagster is installed with its extra ``sandbox``, and costs nothing
where no test asks for it. A test of a pipeline::

    from redcap_dagster.api import REDCapClient


    def test_saved_visits_are_exported(redcap_sandbox):
        token = redcap_sandbox.add_project(
            exports={"metadata": [{"field_name": "id", "form_name": "visit"}]},
            records=[{"id": "1", "visit_complete": "2"}],
        )

        records = REDCapClient(redcap_sandbox.url, token).export_records()

        assert list(records["visit_complete"]) == ["2"]
"""

# pytest loads this at every start, so it stands outside the package, which loads Dagster.

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from redcap_dagster.sandbox import Sandbox


@pytest.fixture
def redcap_sandbox() -> Iterator[Sandbox]:
    """A REDCap on this machine, with no project yet, for one test.

    See redcap_dagster.sandbox.Sandbox: add_project gives a token, inject lets things go wrong.
    """
    from redcap_dagster.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox
