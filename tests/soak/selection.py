"""What an export asks for: all records, a bucket, some by their ids, or those that match."""

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
class Asked:
    """Which records are asked for, and of which forms.

    Attributes:
        forms: The forms.
        kind: Of which records, in a word.
        keep: Leaves, of all rows of a moment, those of these records.
        among: As `REDCapClient.export_snapshot` takes it.
        selection: Likewise.
    """

    forms: list[str]
    kind: str
    keep: Callable[[pa.Table], pa.Table]
    among: Among | None = None
    selection: Mapping[str, Any] = field(default_factory=dict)


def draw_asked(study: Study, forms: list[str]) -> Asked:
    """Let chance say what is asked for."""
    chance = study.chance
    kind = chance.choices(["all", "bucket", "records", "filter"], [5, 2, 2, 2])[0]
    if kind == "bucket":
        among = filter_by_bucket("record_id", BUCKETS, [chance.choice(bucket_keys(BUCKETS))])
        assert among
        return Asked(forms, kind, among, among)
    if kind == "records":
        there = study.records()
        ids = [*chance.sample(there, chance.randint(0, len(there))), "of-no-record"]
        return Asked(forms, kind, lambda rows: _of(rows, ids), selection={"records": ids})
    if kind == "filter":
        wanted = {"filter_logic": "[sex] = '1'"}
        return Asked(forms, kind, _matching, selection=wanted)
    return Asked(forms, kind, lambda rows: rows)


def _of(rows: pa.Table, ids: list[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows["record_id"], pa.array(ids, pa.string())))


def _matching(rows: pa.Table) -> pa.Table:
    if "sex" not in rows.column_names:
        return rows.slice(0, 0)
    matching = rows.filter(pc.fill_null(pc.equal(rows["sex"], "1"), False))
    return _of(rows, matching["record_id"].unique().to_pylist())
