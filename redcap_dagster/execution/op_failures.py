"""What ends an op: whether it is tried again, and the checks that are left open."""

from collections.abc import Collection, Iterable, Iterator

import dagster as dg

from redcap_dagster.api import (
    EmptyResponseError,
    IncompleteExportError,
    MalformedResponseError,
    NetworkError,
    ServerError,
)
from redcap_dagster.checks.findings import export_complete, not_evaluated
from redcap_dagster.execution.recipe import Recipe, Selection
from redcap_dagster.failures import reason
from redcap_dagster.tables import DisagreementError

CheckId = tuple[dg.AssetKey | None, str | None]
"""The asset key and the name of a check, as its result has them."""

# What may be over when an op is tried again. A token, a right or a ban will be the same.
_RETRYABLE = (
    NetworkError,
    ServerError,
    EmptyResponseError,
    MalformedResponseError,
    IncompleteExportError,
    DisagreementError,
)


def op_failure(error: Exception) -> dg.Failure:
    """Fail an op as a whole, so that its retry policy acts where trying again may help."""
    return dg.Failure(reason(error), allow_retries=isinstance(error, _RETRYABLE))


def will_be_retried(
    context: dg.AssetExecutionContext, policy: dg.RetryPolicy | None, error: Exception
) -> bool:
    """Whether the op that fails by an error will be run again."""
    tries = 0 if policy is None else policy.max_retries
    return isinstance(error, _RETRYABLE) and context.retry_number < tries


def unevaluated_checks(
    recipe: Recipe,
    selection: Selection,
    specs: Iterable[dg.AssetSpec],
    error: Exception,
    evaluated: Collection[CheckId] = (),
) -> Iterator[dg.AssetCheckResult]:
    """Give a failing result for each check that is left open because something failed.

    Args:
        recipe: How tables are made.
        selection: What was asked for.
        specs: The assets that failed.
        error: Why.
        evaluated: The checks that have their result already.
    """
    for spec in specs:
        for name in sorted(selection.checks_of(spec)):
            if (spec.key, name) in evaluated:
                continue
            if name == "export_complete" and isinstance(error, IncompleteExportError):
                yield recipe.check_result(spec, export_complete(error.missing))
            else:
                yield recipe.check_result(spec, not_evaluated(name, reason(error)))
