"""The secondary unique field, whose value no two records may have."""

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.tables.quality.descriptions import SECONDARY_UNIQUE
from redcap_dagster.tables.quality.findings import InstrumentRows, RuleFindings, combine


def judge_secondary_unique(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows whose secondary unique field has the value of another record.

    Args:
        rows: The rows of an instrument.
    """
    name = rows.project.info.secondary_unique_field
    if not name or name not in rows.records.column_names or name in rows.hidden:
        return []
    wrong = _find_shared(rows, name)
    unseen = _describe_unseen(rows)
    return [
        rows.make_findings(
            SECONDARY_UNIQUE,
            name,
            wrong,
            pc.or_(wrong, combine(rows.records[name].is_null())) if unseen else rows.repeat(True),
            rows.records.select([name]),
            "Another record has the same value of the secondary unique field.",
            unseen,
        )
    ]


def _describe_unseen(rows: InstrumentRows) -> str:
    """Return which records may have the same values and are not among the rows."""
    if not rows.is_whole:
        return "the records of other buckets"
    return "" if rows.sees_all_records else "the records of other access groups"


def _find_shared(rows: InstrumentRows, name: str) -> pa.BooleanArray:
    """Return whether each row has a value that another record has, too; not a missing data code."""
    ids = rows.records[rows.project.record_id_field]
    table = pa.table({"value": rows.records[name], "record": ids}).drop_null()
    table = table.filter(pc.invert(rows.study.find_missing_codes(table["value"])))
    counted = table.group_by("value").aggregate([("record", "count_distinct")])
    shared = counted.filter(pc.greater(counted["record_count_distinct"], 1))["value"]
    return combine(pc.is_in(rows.records[name], shared))
