"""Checks of a project in buckets: each result speaks for all buckets, not only for those of a run.

Dagster shows only the last result of a check, whichever partition it is about. So the checks that
failed in a bucket are recorded as an observation of that bucket, and a check fails until it passes
in every bucket. A check that a run does not evaluate keeps its last result. Buckets of one run are
judged together, and fail together. Checks that are launched alone judge all buckets.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.checks.findings import is_evaluated
from redcap_dagster.execution.recipe import Recipe, Selection
from redcap_dagster.execution.run import Result
from redcap_dagster.partitions import BUCKET, assign_buckets, bucket_keys

_FAILED_CHECKS = "redcap/failed_checks"
"""The metadata entry of an observation that names the checks that failed."""

_MAX_OBSERVATIONS = 1000
"""How many observations of a bucket are searched for the last one with this entry."""


def merge_bucket_checks(
    context: dg.AssetExecutionContext,
    recipe: Recipe,
    selection: Selection,
    results: Iterable[Result],
) -> Iterator[Result]:
    """Yield the results of a run with checks that speak for all buckets of their asset.

    Args:
        context: Context of the run.
        recipe: How tables are made.
        selection: What the run selects, and in which buckets.
        results: The results for the selected buckets, taken together.
    """
    checks = _BucketChecks(context, recipe, selection.buckets)
    try:
        for result in results:
            if isinstance(result, dg.AssetCheckResult):
                yield from checks.add([result])
                continue
            merged = checks.add(result.check_results or [])
            with_buckets = _add_buckets(context, recipe, selection, result)
            yield with_buckets._replace(check_results=list(merged))
    finally:
        checks.update_late_results()


def _add_buckets(
    context: dg.AssetExecutionContext,
    recipe: Recipe,
    selection: Selection,
    result: dg.MaterializeResult[Any],
) -> dg.MaterializeResult[Any]:
    """Return a table with the bucket of each row, and add each bucket's row count as metadata.

    All buckets get the same data version, as Dagster gives the partitions of one run the same tags.
    An edit in one bucket thus changes that of each. In runs of single buckets each has its own.
    """
    table: pa.Table = result.value
    is_list = result.asset_key in recipe.tables.lists
    ids = table["record" if is_list else recipe.known.record_id_field]
    buckets = assign_buckets(ids, recipe.tables.buckets)
    counts = {one["values"]: one["counts"] for one in pc.value_counts(buckets).to_pylist()}
    for bucket in selection.buckets if len(selection.buckets) > 1 else ():
        context.add_asset_metadata(
            {"dagster/row_count": counts.get(bucket, 0)},
            asset_key=result.asset_key,
            partition_key=bucket,
        )
    return result._replace(value=table.append_column(BUCKET, buckets))


_FailedChecks = Mapping[str, Sequence[str]]
"""The severity and the text of each check that failed, by name."""


@dataclass
class _BucketChecks:
    """The results of a run's checks, each merged with what failed in the other buckets.

    Attributes:
        context: Context of the run.
        recipe: How tables are made.
        buckets: The buckets of the run.
        results: The results of this run, by asset.
        failed_before: What had failed before this run in its buckets, by asset and bucket.
        observed: Storage id of the last observation of each bucket when results were last merged.
    """

    context: dg.AssetExecutionContext
    recipe: Recipe
    buckets: Sequence[str]
    results: dict[dg.AssetKey, list[dg.AssetCheckResult]] = field(default_factory=dict)
    failed_before: dict[dg.AssetKey, Mapping[str, _FailedChecks]] = field(default_factory=dict)
    observed: dict[dg.AssetKey, Mapping[str, int]] = field(default_factory=dict)

    def add(self, results: Sequence[dg.AssetCheckResult]) -> Sequence[dg.AssetCheckResult]:
        """Record the results of this run for its buckets, and return them merged with the others.

        Args:
            results: Results of checks of one asset.
        """
        if not results:
            return []
        (key,) = {result.asset_key for result in results}
        assert key is not None  # noqa: S101 the op names the asset of each
        if key not in self.results:
            self.failed_before[key] = self._read_failed(key, self._last_observed(key), self.buckets)
        self.results.setdefault(key, []).extend(results)
        self._observe(key)
        failed = self._failed_in_other_buckets(key)
        return [_merge(result, failed) for result in results]

    def _observe(self, key: dg.AssetKey) -> None:
        """Record in each bucket which checks failed; those not evaluated keep their last result."""
        evaluated = {str(one.check_name): one for one in self.results[key] if is_evaluated(one)}
        others = len(self.buckets) - 1
        together = f" (Judged together with {others} other buckets.)" if others else ""
        failed = {
            name: [result.severity.value, f"{result.description}{together}"]
            for name, result in evaluated.items()
            if not result.passed
        }
        for bucket in self.buckets:
            before = self.failed_before[key].get(bucket, {})
            kept = {name: entry for name, entry in before.items() if name not in evaluated}
            metadata = {_FAILED_CHECKS: {**kept, **failed}}
            self.context.log_event(dg.AssetObservation(key, partition=bucket, metadata=metadata))

    def update_late_results(self) -> None:
        """Report results again where other runs observed a bucket after these were merged.

        So the run that reports last has seen all observations before it.
        """
        for key, results in self.results.items():
            while self._last_observed(key) != self.observed[key]:
                failed = self._failed_in_other_buckets(key)
                for result in results:
                    merged = _merge(result, failed)
                    self.context.instance.report_runless_asset_event(
                        dg.AssetCheckEvaluation(
                            asset_key=key,
                            check_name=str(merged.check_name),
                            passed=merged.passed,
                            severity=merged.severity,
                            description=merged.description,
                            metadata=merged.metadata,
                        )
                    )

    def _failed_in_other_buckets(self, key: dg.AssetKey) -> Mapping[str, _FailedChecks]:
        self.observed[key] = self._last_observed(key)
        others = [bucket for bucket in self.observed[key] if bucket not in self.buckets]
        return self._read_failed(key, self.observed[key], others)

    def _read_failed(
        self, key: dg.AssetKey, observed: Mapping[str, int], buckets: Sequence[str]
    ) -> Mapping[str, _FailedChecks]:
        """Return the failed checks of buckets, as their last observations have them."""
        ids = sorted(observed[bucket] for bucket in buckets if bucket in observed)
        if not ids:
            return {}
        query = dg.AssetRecordsFilter(key, storage_ids=ids)
        records = self.context.instance.fetch_observations(query, limit=len(ids)).records
        last = [one for record in records if (one := record.asset_observation) is not None]
        by_bucket = {str(one.partition): self._read_observation(key, one) for one in last}
        return {bucket: failed for bucket, failed in by_bucket.items() if failed}

    def _read_observation(self, key: dg.AssetKey, last: dg.AssetObservation) -> _FailedChecks:
        """Return the failed checks of a bucket, from its last observation that has the entry.

        Anybody can report an observation of a bucket, which then does not have it.
        """
        metadata: Mapping[str, Any] = last.metadata
        if _FAILED_CHECKS not in metadata:
            query = dg.AssetRecordsFilter(key, asset_partitions=[str(last.partition)])
            records = self.context.instance.fetch_observations(
                query, limit=_MAX_OBSERVATIONS
            ).records
            observations = [record.asset_observation for record in records]
            each = (one.metadata for one in observations if one is not None)
            metadata = next((one for one in each if _FAILED_CHECKS in one), {})
        return dict(metadata[_FAILED_CHECKS].value) if metadata else {}

    def _last_observed(self, key: dg.AssetKey) -> Mapping[str, int]:
        """Return the storage id of each bucket's last observation, for the present bucket count."""
        found: Mapping[str, int] = self.context.instance.get_latest_storage_id_by_partition(
            key,
            dg.DagsterEventType.ASSET_OBSERVATION,
            set(bucket_keys(self.recipe.tables.buckets)),
        )
        return found


def _merge(result: dg.AssetCheckResult, failed: Mapping[str, _FailedChecks]) -> dg.AssetCheckResult:
    """Return a result that also fails if the check failed in other buckets."""
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
        description=f"{result.description} The check failed in other buckets ({len(others)}). "
        f"{bucket}: {text}",
        metadata={**result.metadata, "redcap/failed_buckets": dg.MetadataValue.json(list(others))},
    )
