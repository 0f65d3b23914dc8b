"""The secondary unique field, whose value no two records may have."""

import pyarrow as pa
import pyarrow.compute as pc

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
    return [
        RuleFindings(
            "secondary_unique",
            "",
            rows.instrument,
            name,
            wrong,
            rows.repeat(True) if rows.is_whole else wrong,
            rows.records.select([name]),
            "Another record has the same value of the secondary unique field.",
            "" if rows.is_whole else "the records of other buckets",
        )
    ]


def _find_shared(rows: InstrumentRows, name: str) -> pa.BooleanArray:
    """Return whether each row has a value that another record has, too; not a missing data code."""
    ids = rows.records[rows.project.record_id_field]
    codes = pa.array([code.code for code in rows.project.missing_data_codes], pa.string())
    table = pa.table({"value": rows.records[name], "record": ids}).drop_null()
    table = table.filter(pc.invert(pc.is_in(table["value"], codes)))
    counted = table.group_by("value").aggregate([("record", "count_distinct")])
    shared = counted.filter(pc.greater(counted["record_count_distinct"], 1))["value"]
    return combine(pc.is_in(rows.records[name], shared))
