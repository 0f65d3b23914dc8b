"""What the checks of one instrument find: in its export, its stored records, its clean table."""

from redcap_dagster.catalog.column_schema import INFERRED, type_name
from redcap_dagster.catalog.event_log import Metadata, last_metadata, previous_row_count
from redcap_dagster.checks import findings
from redcap_dagster.checks.findings import Finding
from redcap_dagster.execution.record_source import has_header
from redcap_dagster.execution.run import Records, Run
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.tables import (
    CleanTable,
    count_duplicate_rows,
    count_merged_codes,
)
from redcap_dagster.tables.quality import (
    InstrumentRows,
    is_required,
    judge_choices,
    judge_hidden,
    judge_ranges,
    judge_required,
    judge_values,
)


def judge_export(run: Run, records: Records) -> list[Finding]:
    """Return what the checks of an export find. An incomplete one raised an error earlier."""
    named = run.export is not None and has_header(run.export.table)
    return [
        findings.export_complete(0),
        findings.nothing_hidden(
            records.hidden,
            has_header=named,
            unrequested=run.export.unrequested if run.export else (),
        ),
    ]


def judge_keys(records: Records) -> Finding:
    """Return what `keys_unique` finds in records."""
    duplicates = count_duplicate_rows(records.table, records.project, records.instrument)
    return findings.keys_unique(duplicates)


def judge_row_count(run: Run, records: Records, *, replacing: bool) -> Finding:
    """Return what `rows_not_dropping` finds in records.

    Args:
        run: The run.
        records: The records.
        replacing: Whether they are to replace the stored ones. Otherwise they are the stored ones,
            and are compared with those before.
    """
    key = run.recipe.tables.records[records.instrument].key
    before = previous_row_count(
        run.context, key, run.selection.buckets, run.source, replacing=replacing
    )
    max_drop = run.recipe.checks.max_drop
    return findings.rows_not_dropping(before, records.table.num_rows, max_drop)


def judge_clean(run: Run, records: Records, cleaned: CleanTable) -> list[Finding]:
    """Return what the checks of a clean table find.

    Args:
        run: The run.
        records: The records that the table was made from.
        cleaned: The clean table.
    """
    instrument, project = records.instrument, records.project
    rows = InstrumentRows(
        instrument,
        records.table,
        cleaned,
        project,
        run.recipe.rules,
        run.study,
        records.hidden,
        run.recipe.checks.settings_for("required_filled", instrument).of or "complete",
    )
    return [
        findings.values_fit_types(judge_values(rows)),
        findings.choices_known(judge_choices(rows)),
        findings.labels_distinct(
            count_merged_codes(records.table, instrument, project, run.recipe.rules)
        ),
        findings.within_range(judge_ranges(rows)),
        findings.required_filled(judge_required(rows), _list_hidden_required(rows)),
        findings.hidden_filled(judge_hidden(rows)),
        _judge_inferred_types(run, instrument, cleaned),
    ]


def _list_hidden_required(rows: InstrumentRows) -> list[str]:
    """Return the required columns that cannot be judged, as export rights hide them."""
    columns = rows.project.columns(rows.instrument)
    required = [column.name for column in columns if is_required(column.field)]
    if rows.required_of == "complete" and status_column(rows.instrument) in rows.hidden:
        return required
    return [name for name in required if name in rows.hidden]


def _judge_inferred_types(run: Run, instrument: str, cleaned: CleanTable) -> Finding:
    key = run.recipe.tables.clean[instrument].key
    buckets = run.selection.buckets
    stored = last_metadata(run.context, key, "dagster/column_schema", buckets, run.source)
    if not stored:
        return findings.nothing_to_compare("inferred_types_stable")
    before = stored[0]["dagster/column_schema"].value
    return findings.inferred_types_stable(
        {column.name: column.type for column in before.columns},
        {column.name: type_name(column.type) for column in cleaned.table.schema},
        {*cleaned.inferred, *_read_inferred(stored[0])},
    )


def _read_inferred(stored: Metadata) -> set[str]:
    """Return the columns of a stored table whose types were inferred."""
    if "redcap/inferred_types" in stored:  # before columns had the tag
        return set(stored["redcap/inferred_types"].value)
    schema = stored["dagster/column_schema"].value
    return {column.name for column in schema.columns if INFERRED in column.tags}
