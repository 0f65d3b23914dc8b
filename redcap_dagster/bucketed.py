"""A project in buckets: what a run makes of its buckets, and one verdict over all of them.

Dagster shows the last result of a check, of whichever partition it was. So each result speaks for
all buckets: that a check failed in one is kept as an observation of the bucket, and the check fails
until the same bucket passes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from redcap_dagster.instrument import Result
from redcap_dagster.partitions import BUCKET, bucket_keys, bucket_of
from redcap_dagster.recipe import Recipe, Selection

_FAILED = "redcap/failed_checks"
"""The entry of an observation that says which checks failed: name to severity and text."""


def over_buckets(
    context: dg.AssetExecutionContext,
    recipe: Recipe,
    selection: Selection,
    results: Iterable[Result],
) -> Iterator[Result]:
    """Make of what an op found in some buckets what holds of the assets as a whole.

    Args:
        context: Of the run.
        recipe: How tables are made.
        selection: What is asked for, and of which buckets.
        results: Of the buckets that are asked for, taken together.
    """
    verdicts = _Verdicts(context, recipe, selection.buckets)
    for result in results:
        if isinstance(result, dg.AssetCheckResult):
            yield from verdicts.of([result])
            continue
        checks = verdicts.of(result.check_results or [])
        if len(selection.buckets) > 1:
            result = _with_buckets(context, recipe, selection, result)
        yield result._replace(check_results=list(checks))
    verdicts.settle()


def _with_buckets(
    context: dg.AssetExecutionContext,
    recipe: Recipe,
    selection: Selection,
    result: dg.MaterializeResult[Any],
) -> dg.MaterializeResult[Any]:
    """Say of each row which bucket it is of, and of each bucket how many rows it has."""
    frame: pd.DataFrame = result.value
    records = pa.chunked_array([pa.array(frame[recipe.known.record_id_field], pa.string())])
    buckets = pd.Series(bucket_of(records, recipe.tables.buckets).to_pandas(), index=frame.index)
    counts = buckets.value_counts()
    for bucket in selection.buckets:
        context.add_asset_metadata(
            {"dagster/row_count": int(counts.get(bucket, 0))},
            asset_key=result.asset_key,
            partition_key=bucket,
        )
    return result._replace(value=frame.assign(**{BUCKET: buckets}))


@dataclass
class _Verdicts:
    """The results of a run's checks, each together with what was found in the other buckets."""

    context: dg.AssetExecutionContext
    recipe: Recipe
    own: Sequence[str]
    given: dict[dg.AssetKey, list[dg.AssetCheckResult]] = field(default_factory=dict)
    known: dict[dg.AssetKey, Mapping[str, int]] = field(default_factory=dict)

    def of(self, results: Sequence[dg.AssetCheckResult]) -> Sequence[dg.AssetCheckResult]:
        """Note what was found in the buckets at hand, and judge all buckets together."""
        if not results:
            return []
        (key,) = {result.asset_key for result in results}
        assert key is not None  # noqa: S101 the op names the asset of each
        self.given.setdefault(key, []).extend(results)
        told = {
            str(result.check_name): [result.severity.value, result.description or ""]
            for result in self.given[key]
            if not result.passed
        }
        for bucket in self.own:
            self.context.log_event(
                dg.AssetObservation(key, partition=bucket, metadata={_FAILED: told})
            )
        failed = self._failed_elsewhere(key)
        return [_together(result, failed) for result in results]

    def settle(self) -> None:
        """Judge again where other runs noted something after this one had looked.

        Whoever writes the last result has seen all that was noted before it.
        """
        for key, results in self.given.items():
            while self._noted(key) != self.known[key]:
                failed = self._failed_elsewhere(key)
                for result in results:
                    whole = _together(result, failed)
                    self.context.instance.report_runless_asset_event(
                        dg.AssetCheckEvaluation(
                            asset_key=key,
                            check_name=str(whole.check_name),
                            passed=whole.passed,
                            severity=whole.severity,
                            description=whole.description,
                            metadata=whole.metadata,
                        )
                    )

    def _failed_elsewhere(self, key: dg.AssetKey) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """Give the other buckets where checks failed last: bucket to check, severity and text."""
        self.known[key] = self._noted(key)
        others = {id_ for bucket, id_ in self.known[key].items() if bucket not in self.own}
        if not others:
            return {}
        wanted = dg.AssetRecordsFilter(key, storage_ids=sorted(others))
        records = self.context.instance.fetch_observations(wanted, limit=len(others)).records
        observed = [record.asset_observation for record in records]
        return {
            str(one.partition): one.metadata[_FAILED].value
            for one in observed
            if one is not None and one.metadata[_FAILED].value
        }

    def _noted(self, key: dg.AssetKey) -> Mapping[str, int]:
        """Give the last observation of each bucket of the present number."""
        found: Mapping[str, int] = self.context.instance.get_latest_storage_id_by_partition(
            key,
            dg.DagsterEventType.ASSET_OBSERVATION,
            set(bucket_keys(self.recipe.tables.buckets)),
        )
        return found


def _together(
    result: dg.AssetCheckResult, failed: Mapping[str, Mapping[str, Sequence[str]]]
) -> dg.AssetCheckResult:
    """Let a result fail where the check failed in other buckets."""
    name = str(result.check_name)
    others = {bucket: checks[name] for bucket, checks in sorted(failed.items()) if name in checks}
    if not others:
        return result
    bucket, (_, text) = next(iter(others.items()))
    severities = {severity for severity, _ in others.values()}
    if not result.passed:
        severities.add(result.severity.value)
    error = dg.AssetCheckSeverity.ERROR
    return result._replace(
        passed=False,
        severity=error if error.value in severities else dg.AssetCheckSeverity.WARN,
        description=f"{result.description} It failed in {len(others)} other buckets; in {bucket}: "
        f"{text}",
        metadata={**result.metadata, "redcap/failed_buckets": dg.MetadataValue.json(list(others))},
    )
