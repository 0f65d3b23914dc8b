"""Our ways to have the records of a project."""

from collections.abc import Callable

import pandas as pd

from benchmarks.server import TOKEN
from redcap_dagster.api import REDCapClient


def as_one_request(url: str) -> Callable[[], pd.DataFrame]:
    """Export without limits: one request, held against no census."""
    return REDCapClient(url, TOKEN, max_cells=None, rate_limit=None).export_records


def by_default(url: str) -> Callable[[], pd.DataFrame]:
    """Export by the default plan: census, bounded requests, checks."""
    return REDCapClient(url, TOKEN).export_records


def four_at_once(url: str) -> Callable[[], pd.DataFrame]:
    """Export by the default plan, with four requests side by side."""
    return REDCapClient(url, TOKEN, concurrency=4).export_records
