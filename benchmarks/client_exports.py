"""Exports of a project's records with `REDCapClient`."""

from collections.abc import Callable

import pandas as pd

from benchmarks.server import TOKEN
from redcap_dagster.api import REDCapClient, REDCapError
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.faults import EMPTY, OUT_OF_MEMORY, WEB_PAGE, Cut, Reset, Status
from redcap_dagster.sandbox.http.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Status(500, "<p>Failed"),
    Cut(0.5, "chunks"),
    Reset(),
    WEB_PAGE,
    OUT_OF_MEMORY,
    EMPTY,
)
"""Faults of a server that may be failures of size."""


def prepare_one_request(url: str) -> Callable[[], pd.DataFrame]:
    """Prepare an export without limits: one request, which is not checked with a census."""
    return REDCapClient(url, TOKEN, max_cells=None, rate_limit=None).export_records


def prepare_default_plan(url: str) -> Callable[[], pd.DataFrame]:
    """Prepare an export with the default plan: census, bounded requests, checks."""
    return REDCapClient(url, TOKEN).export_records


def prepare_four_requests(url: str) -> Callable[[], pd.DataFrame]:
    """Prepare an export with the default plan and four concurrent requests."""
    return REDCapClient(url, TOKEN, concurrency=4).export_records


def count_requests(fault: Fault, records: int = 1000, fields: int = 120) -> int:
    """Return the number of requests of an export that gives up, as each fails but the listing.

    The requests for the structure of the project are counted, too.
    """
    names = [f"field_{number}" for number in range(fields)]
    dictionary = [{"field_name": name, "form_name": "visit"} for name in ("record_id", *names)]
    rows = [{"record_id": str(number), **dict.fromkeys(names, "1")} for number in range(records)]
    with Sandbox() as sandbox:
        token = sandbox.add_project(exports={"metadata": dictionary}, records=rows)
        sandbox.inject(fault, content="record", after=1)
        try:
            REDCapClient(sandbox.url, token, backoff=0).export_records()
        except REDCapError:
            return len(sandbox.requests)
    raise RuntimeError("The export did not fail.")
