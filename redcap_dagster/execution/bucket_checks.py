"""A project in buckets: what a run makes of its buckets, and one verdict over all of them.

Dagster shows the last result of a check, of whichever partition it was. So each result speaks for
all buckets: that a check failed in one is kept as an observation of the bucket, and the check fails
until the same bucket passes. What a run did not evaluate stays as it was known. Buckets that one
run takes are judged together, and are noted to have failed together; checks that are launched alone
judge all of them anew.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from redcap_dagster.checks.findings import is_evaluated
from redcap_dagster.execution.recipe import Recipe, Selection
from redcap_dagster.execution.run import Result
from redcap_dagster.partitions import BUCKET, assign_buckets, bucket_keys

_FAILED = "redcap/failed_checks"
"""The entry of an observation that says which checks failed."""

_MOST_LOOKED_AT = 1000
"""Observations of a bucket among which the last of ours is looked for."""


def merge_bucket_checks(
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
    try:
        for result in results:
            if isinstance(result, dg.AssetCheckResult):
                yield from verdicts.add([result])
                continue
            checks = verdicts.add(result.check_results or [])
            if len(selection.buckets) > 1:
                result = _with_buckets(context, recipe, selection, result)
            yield result._replace(check_results=list(checks))
    finally:
        verdicts.settle()


def _with_buckets(
    context: dg.AssetExecutionContext,
    recipe: Recipe,
    selection: Selection,
    result: dg.MaterializeResult[Any],
) -> dg.MaterializeResult[Any]:
    """Say of each row which bucket it is of, and of each bucket how many rows it has.

    The data version is that of all of them: Dagster gives the partitions of one run the same tags,
    so that an edit in one bucket is told of each. Runs of single buckets tell them apart.
    """
    frame: pd.DataFrame = result.value
    records = pa.chunked_array([pa.array(frame[recipe.known.record_id_field], pa.string())])
    buckets = pd.Series(
        assign_buckets(records, recipe.tables.buckets).to_pandas(), index=frame.index
    )
    counts = buckets.value_counts()
    for bucket in selection.buckets:
        context.add_asset_metadata(
            {"dagster/row_count": int(counts.get(bucket, 0))},
            asset_key=result.asset_key,
            partition_key=bucket,
        )
    return result._replace(value=frame.assign(**{BUCKET: buckets}))


_Failed = Mapping[str, Sequence[str]]
"""The checks that failed: name to severity and text."""


@dataclass
class _Verdicts:
    """The results of a run's checks, each together with what was found in the other buckets.

    Attributes:
        context: Of the run.
        recipe: How tables are made.
        own: The buckets at hand.
        given: What this run found, by asset.
        before: What had failed in the buckets at hand before this run.
        known: The last observation of each bucket, as it was when a result was given.
    """

    context: dg.AssetExecutionContext
    recipe: Recipe
    own: Sequence[str]
    given: dict[dg.AssetKey, list[dg.AssetCheckResult]] = field(default_factory=dict)
    before: dict[dg.AssetKey, Mapping[str, _Failed]] = field(default_factory=dict)
    known: dict[dg.AssetKey, Mapping[str, int]] = field(default_factory=dict)

    def add(self, results: Sequence[dg.AssetCheckResult]) -> Sequence[dg.AssetCheckResult]:
        """Note what was found in the buckets at hand, and judge all buckets together."""
        if not results:
            return []
        (key,) = {result.asset_key for result in results}
        assert key is not None  # noqa: S101 the op names the asset of each
        if key not in self.given:
            self.before[key] = self._failed(key, self._noted(key), self.own)
        self.given.setdefault(key, []).extend(results)
        self._note(key)
        failed = self._failed_elsewhere(key)
        return [_together(result, failed) for result in results]

    def _note(self, key: dg.AssetKey) -> None:
        """Note of each bucket at hand what failed; of what was not evaluated, what was before."""
        judged = {str(one.check_name): one for one in self.given[key] if is_evaluated(one)}
        more = len(self.own) - 1
        together = f" ({more} more were judged together with it)" if more else ""
        told = {
            name: [result.severity.value, f"{result.description}{together}"]
            for name, result in judged.items()
            if not result.passed
        }
        for bucket in self.own:
            earlier = self.before[key].get(bucket, {})
            kept = {name: entry for name, entry in earlier.items() if name not in judged}
            self.context.log_event(
                dg.AssetObservation(key, partition=bucket, metadata={_FAILED: {**kept, **told}})
            )

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

    def _failed_elsewhere(self, key: dg.AssetKey) -> Mapping[str, _Failed]:
        """Give the other buckets where checks failed last."""
        self.known[key] = self._noted(key)
        others = [bucket for bucket in self.known[key] if bucket not in self.own]
        return self._failed(key, self.known[key], others)

    def _failed(
        self, key: dg.AssetKey, noted: Mapping[str, int], buckets: Sequence[str]
    ) -> Mapping[str, _Failed]:
        """Read what failed in some buckets off their last observations."""
        ids = sorted(noted[bucket] for bucket in buckets if bucket in noted)
        if not ids:
            return {}
        wanted = dg.AssetRecordsFilter(key, storage_ids=ids)
        records = self.context.instance.fetch_observations(wanted, limit=len(ids)).records
        observed = [one for record in records if (one := record.asset_observation) is not None]
        noted_last = {str(one.partition): self._verdict(key, one) for one in observed}
        return {bucket: failed for bucket, failed in noted_last.items() if failed}

    def _verdict(self, key: dg.AssetKey, last: dg.AssetObservation) -> _Failed:
        """Read what failed off the last observation of a bucket, or off the last that tells.

        Anybody may observe a bucket, which says nothing of its checks.
        """
        tells: Mapping[str, Any] = last.metadata
        if _FAILED not in tells:
            wanted = dg.AssetRecordsFilter(key, asset_partitions=[str(last.partition)])
            earlier = self.context.instance.fetch_observations(
                wanted, limit=_MOST_LOOKED_AT
            ).records
            seen = [record.asset_observation for record in earlier]
            told = (one.metadata for one in seen if one is not None and _FAILED in one.metadata)
            tells = next(told, {})
        return dict(tells[_FAILED].value) if tells else {}

    def _noted(self, key: dg.AssetKey) -> Mapping[str, int]:
        """Give the last observation of each bucket of the present number."""
        found: Mapping[str, int] = self.context.instance.get_latest_storage_id_by_partition(
            key,
            dg.DagsterEventType.ASSET_OBSERVATION,
            set(bucket_keys(self.recipe.tables.buckets)),
        )
        return found


def _together(result: dg.AssetCheckResult, failed: Mapping[str, _Failed]) -> dg.AssetCheckResult:
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
