"""How Dagster runs the two ops of a project."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

import dagster as dg
from pydantic import Field

from redcap_dagster.options import option


@option
class OpSettings:
    """How Dagster runs the two ops of a project; for `build_redcap_definitions`.

    Attributes:
        name: Name of the op of records and clean tables. Defaults to ``NAME__tables``. The op of
            metadata is then called ``OP_NAME__metadata``, by default ``NAME__metadata``.
        description: Description of both ops, shown in Dagster's UI. Defaults to none.
        pool: Concurrency pool of both ops. Defaults to none.
        tags: Tags of both ops. Defaults to none.
        retry_policy: When Dagster retries an op that failed as a whole for a reason that may pass:
            the network, a server that fails or is too busy, a broken or incomplete response.
            Dagster does not retry an op after REDCap refused a request, or if only single
            instruments failed. Defaults to no retry.
        backfill_policy: How many partitions one run takes. Defaults to one.
        preview_rows: Number of rows of each instrument's tables that Dagster's UI shows. Dagster
            then stores people's health data in its own database, and shows them to everyone who can
            open the UI. Defaults to 0.

    Example:
        >>> OpSettings(pool="redcap_example_edu", retry_policy=dg.RetryPolicy(max_retries=3)).pool
        'redcap_example_edu'
    """

    name: str | None = None
    description: str | None = None
    pool: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    retry_policy: dg.RetryPolicy | None = None
    backfill_policy: dg.BackfillPolicy | None = None
    preview_rows: Annotated[int, Field(ge=0)] = 0
