"""Checkbox options that action tags do not allow together: ``@NONEOFTHEABOVE``, ``@MAXCHECKED``."""

from collections.abc import Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.project import Column, Field
from redcap_dagster.project.action_tags import list_action_tags
from redcap_dagster.tables.quality.descriptions import TICKS_ALLOWED
from redcap_dagster.tables.quality.findings import InstrumentRows, RuleFindings, combine


def judge_ticks(rows: InstrumentRows) -> list[RuleFindings]:
    """Return the rows of each checkbox whose ticked options its action tags do not allow.

    A tag inside of ``@IF`` is not evaluated.

    Args:
        rows: The rows of an instrument.
    """
    found = []
    for field, columns in rows.group_columns():
        if field.field_type != "checkbox":
            continue
        limits = _read_limits(field)
        if not limits:
            continue
        wrong = reduce(
            pc.or_, [_find_refused(rows, columns, name, value) for name, value in limits]
        )
        found.append(
            rows.make_findings(
                TICKS_ALLOWED,
                field.field_name,
                wrong,
                rows.repeat(True),
                rows.records.select([column.name for column in columns]),
                f"The action tags {' and '.join(f'@{name}' for name, _ in limits)} do not allow "
                "these options together.",
            )
        )
    return found


def _read_limits(field: Field) -> list[tuple[str, str]]:
    return [
        (tag.name, tag.argument)
        for tag in list_action_tags(field.field_annotation)
        if not tag.conditions
        and (
            (tag.name == "NONEOFTHEABOVE" and tag.argument)
            or (tag.name == "MAXCHECKED" and tag.argument.strip().isdecimal())
        )
    ]


def _find_refused(
    rows: InstrumentRows, columns: Sequence[Column], tag: str, argument: str
) -> pa.BooleanArray:
    if tag == "MAXCHECKED":
        return pc.greater(_count_ticked(rows, columns), int(argument))
    codes = {code.strip().lower() for code in argument.split(",")}
    alone = [each for each in columns if each.choice and each.choice.code.lower() in codes]
    return pc.and_(
        pc.greater(_count_ticked(rows, alone), 0), pc.greater(_count_ticked(rows, columns), 1)
    )


def _count_ticked(rows: InstrumentRows, columns: Sequence[Column]) -> pa.Array:
    ticked = [
        combine(pc.equal(rows.records[column.name], "1")).cast(pa.int64()) for column in columns
    ]
    return reduce(pc.add, ticked, pa.repeat(0, rows.records.num_rows).cast(pa.int64()))
