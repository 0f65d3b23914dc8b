"""The selection of an export: all records, a bucket, named records, or those of a filter."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.api import Among
from redcap_dagster.execution.record_source import filter_by_bucket
from redcap_dagster.partitions import bucket_keys
from tests.soak.study import Study

BUCKETS = 3


@dataclass(frozen=True)
class ExportSelection:
    """The forms and records that are requested.

    Attributes:
        forms: Forms.
        kind: Kind of selection of records, in a word.
        keep: Function that filters all rows of a snapshot to those of these records.
        among: Filter of `REDCapClient.export_snapshot`.
        parameters: Further parameters of `REDCapClient.export_snapshot`.
    """

    forms: list[str]
    kind: str
    keep: Callable[[pa.Table], pa.Table]
    among: Among | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def draw_selection(study: Study, forms: list[str]) -> ExportSelection:
    """Return a random selection."""
    random = study.random
    kind = random.choices(["all", "bucket", "records", "filter"], [5, 2, 2, 2])[0]
    if kind == "bucket":
        among = filter_by_bucket("record_id", BUCKETS, [random.choice(bucket_keys(BUCKETS))])
        assert among
        return ExportSelection(forms, kind, among, among)
    if kind == "records":
        existing = study.records()
        ids = [*random.sample(existing, random.randint(0, len(existing))), "of-no-record"]
        return ExportSelection(
            forms, kind, lambda rows: _filter_records(rows, ids), parameters={"records": ids}
        )
    if kind == "filter":
        return ExportSelection(
            forms, kind, _filter_matching, parameters={"records_where": "[sex] = '1'"}
        )
    return ExportSelection(forms, kind, lambda rows: rows)


def _filter_records(rows: pa.Table, ids: list[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows["record_id"], pa.array(ids, pa.string())))


def _filter_matching(rows: pa.Table) -> pa.Table:
    if "sex" not in rows.column_names:
        return rows.slice(0, 0)
    matching = rows.filter(pc.fill_null(pc.equal(rows["sex"], "1"), False))
    return _filter_records(rows, matching["record_id"].unique().to_pylist())
