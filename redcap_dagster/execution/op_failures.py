"""A failed op: whether it is retried, and the results of checks that were not evaluated."""

from collections.abc import Collection, Iterable, Iterator

import dagster as dg

from redcap_dagster.api import (
    EmptyResponseError,
    IncompleteExportError,
    MalformedResponseError,
    NetworkError,
    ServerError,
    WebPageError,
)
from redcap_dagster.checks.findings import export_complete, not_evaluated
from redcap_dagster.execution.recipe import Recipe, Selection
from redcap_dagster.failures import reason
from redcap_dagster.tables import DisagreementError

CheckId = tuple[dg.AssetKey | None, str | None]
"""The asset key and the name of a check, as in its result."""

# Causes that may pass until an op is retried. A token, a right or a ban does not change by itself.
_RETRYABLE = (
    NetworkError,
    ServerError,
    WebPageError,
    EmptyResponseError,
    MalformedResponseError,
    IncompleteExportError,
    DisagreementError,
)


def op_failure(name: str, error: Exception) -> dg.Failure:
    """Return the failure of an op, which its retry policy retries only if that may help.

    Args:
        name: Name of the project in Dagster.
        error: The error.
    """
    text = f"REDCap project {name}: {reason(error)}"
    return dg.Failure(text, allow_retries=isinstance(error, _RETRYABLE))


def will_be_retried(
    context: dg.AssetExecutionContext, policy: dg.RetryPolicy | None, error: Exception
) -> bool:
    """Whether Dagster will run an op again that fails with this error."""
    tries = 0 if policy is None else policy.max_retries
    return isinstance(error, _RETRYABLE) and context.retry_number < tries


def unevaluated_checks(
    recipe: Recipe,
    selection: Selection,
    specs: Iterable[dg.AssetSpec],
    error: Exception,
    evaluated: Collection[CheckId] = (),
) -> Iterator[dg.AssetCheckResult]:
    """Yield a failing result for each selected check that was not evaluated because of an error.

    Args:
        recipe: How tables are made.
        selection: What the run selects.
        specs: Specs of the assets that failed.
        error: The error.
        evaluated: Checks that already have a result. Defaults to none.
    """
    for spec in specs:
        for name in sorted(selection.checks_of(spec)):
            if (spec.key, name) in evaluated:
                continue
            if name == "export_complete" and isinstance(error, IncompleteExportError):
                yield recipe.check_result(spec, export_complete(error.missing))
            else:
                yield recipe.check_result(spec, not_evaluated(name, reason(error)))
