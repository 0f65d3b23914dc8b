"""Exports of a project's records with `REDCapClient`.

This module imports nothing but the client, as the memory of a process counts with its imports.
"""

from collections.abc import Callable

import pandas as pd

from benchmarks.server import TOKEN
from redcap_dagster.api import REDCapClient


def prepare_one_request(url: str) -> Callable[[], pd.DataFrame]:
    """Prepare an export without limits: one request, which is not checked with a census."""
    return REDCapClient(url, TOKEN, max_cells=None, rate_limit=None).export_records


def prepare_default_plan(url: str) -> Callable[[], pd.DataFrame]:
    """Prepare an export with the default plan: census, bounded requests, checks."""
    return REDCapClient(url, TOKEN).export_records


def prepare_four_requests(url: str) -> Callable[[], pd.DataFrame]:
    """Prepare an export with the default plan and four concurrent requests."""
    return REDCapClient(url, TOKEN, concurrency=4).export_records
