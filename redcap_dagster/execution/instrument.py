"""One instrument in a run: take its records, clean them, judge both, and yield each once."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.catalog.column_schema import clean_lineage, instrument_schema
from redcap_dagster.catalog.column_summary import summary_metadata, total_metadata
from redcap_dagster.catalog.column_texts import ColumnTexts
from redcap_dagster.catalog.metadata import asset_result, preview_metadata, type_metadata
from redcap_dagster.checks.findings import Finding
from redcap_dagster.execution.all_forms.forms import AllForms
from redcap_dagster.execution.guards.new_columns import refuse_new_columns
from redcap_dagster.execution.judging import (
    judge_clean,
    judge_export,
    judge_keys,
    judge_row_count,
)
from redcap_dagster.execution.record_source import existing_instruments
from redcap_dagster.execution.run import Result, Run
from redcap_dagster.execution.run_records import Records, exported_records, stored_records
from redcap_dagster.execution.study_tables import find_study
from redcap_dagster.partitions import assign_buckets
from redcap_dagster.project import StructureError
from redcap_dagster.tables import CleanTable, Contents, clean, read_contents


@dataclass(frozen=True)
class JudgedTable:
    """A table of one instrument, and what its checks found.

    Attributes:
        spec: Its asset.
        table: Its rows.
        records: The records that it holds or is made from.
        findings: What the checks found. Those of checks that are not selected are not reported.
        metadata: The metadata of this table alone.
        cleaned: The table with its counts, if it is a clean table.
        refusal: Why the table must not be stored; blank where it may.
    """

    spec: dg.AssetSpec
    table: pa.Table = field(repr=False)
    records: Records
    findings: Sequence[Finding]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    cleaned: CleanTable | None = field(default=None, repr=False)
    refusal: str = ""


def instrument_results(run: Run, instrument: str, forms: AllForms) -> Iterator[Result]:
    """Yield what a run selects of one instrument: its tables, and one result for each check.

    The export is judged first, then the stored records, then the clean table. The results of a
    table that is stored come with it, those of other tables come alone.

    Args:
        run: The run.
        instrument: Name of the instrument.
        forms: All instruments of the run, to which this one is added.

    Raises:
        StructureError: A table cannot be made, or a blocking check failed. Checks that have no
            result yet are then not evaluated.
    """
    if not existing_instruments(run.project, [instrument]):
        raise StructureError("REDCap no longer has this instrument; reload the code location.")
    contents = None
    if run.needs_export(instrument):
        records = exported_records(run, instrument)
        contents = yield from _results(run, _judge_exported_records(run, records))
    if run.loads_records(instrument):
        records = stored_records(run, instrument)
        yield from _results(run, _judge_stored_records(run, records))
    if run.needs_clean(instrument):
        yield from _results(run, _judge_clean_table(run, records, forms), contents)


def _judge_exported_records(run: Run, records: Records) -> JudgedTable:
    spec = run.recipe.tables.records[records.instrument]
    if not run.selection.has(spec):
        return JudgedTable(spec, records.table, records, judge_export(run, records))
    keys = judge_keys(records)
    if run.recipe.blocks(run.recipe.check_result(spec, keys)):
        refusal = (
            f"{keys.metadata['rows']} rows have the key of another row. REDCap may have sent rows "
            "twice: run again. If there are duplicate rows again, look at the project's repeating "
            "instruments and events. To store them, set keys_unique to not blocking."
        )
        return JudgedTable(spec, records.table, records, [keys], refusal=refusal)
    row_count = judge_row_count(run, records, replacing=True)
    return JudgedTable(
        spec,
        records.table,
        records,
        [keys, *judge_export(run, records), row_count],
        {"redcap/hidden_columns": list(records.hidden)},
    )


def _judge_stored_records(run: Run, records: Records) -> JudgedTable:
    spec = run.recipe.tables.records[records.instrument]
    found = [judge_keys(records), judge_row_count(run, records, replacing=False)]
    return JudgedTable(spec, records.table, records, found)


def _judge_clean_table(run: Run, records: Records, forms: AllForms) -> JudgedTable:
    tables, rules = run.recipe.tables, run.recipe.rules
    spec = tables.clean[records.instrument]
    study = find_study(run) if rules.missing_reasons else None
    cleaned = clean(records.table, records.instrument, records.project, rules, study=study)
    lineage = clean_lineage(
        tables.records[records.instrument].key, records.instrument, records.project, rules
    )
    found: list[Finding] = []
    if run.selection.checks_of(spec):
        found = judge_clean(run, records, cleaned, forms.judge(records, cleaned))
    elif run.selection.has_any(tables.queries.values()):
        forms.judge(records, cleaned)
    return JudgedTable(
        spec,
        cleaned.table,
        records,
        found,
        {
            "dagster/column_lineage": lineage,
            **type_metadata(cleaned),
        },
        cleaned,
    )


def _results(
    run: Run, judged: JudgedTable, known: Contents | None = None
) -> Generator[Result, None, Contents | None]:
    """Yield a table with the results of its checks, or these alone where it is not stored.

    Args:
        run: The run.
        judged: The table.
        known: A table that may have columns in common with it. Defaults to none.

    Returns:
        The table with digests and counts of its columns; None where it is not stored.

    Raises:
        StructureError: The table was refused, or a blocking check failed.
    """
    spec, recipe, records = judged.spec, run.recipe, judged.records
    selected = run.selection.checks_of(spec)
    results = [recipe.check_result(spec, one) for one in judged.findings if one.check in selected]
    contents = None
    if run.selection.has(spec) and not judged.refusal:
        texts = ColumnTexts(records.project, records.instrument)
        inferred = () if judged.cleaned is None else judged.cleaned.inferred
        schema = instrument_schema(
            judged.table.schema, records.project, records.instrument, inferred
        )
        refuse_new_columns(run.context, spec, schema, recipe.tables.buckets)
        _add_totals_of_buckets(run, judged, texts)
        shown = [name for name in judged.table.column_names if not texts.holds_reasons(name)]
        contents = read_contents(judged.table, shown, known)
        yield asset_result(
            spec,
            contents,
            schema,
            run.client.digest_key,
            metadata={
                **records.metadata,
                **summary_metadata(texts, schema, contents, judged.cleaned),
                **preview_metadata(judged.table, recipe.preview_rows),
                **judged.metadata,
            },
            check_results=results,
        )
    else:
        yield from results
    if judged.refusal:
        raise StructureError(judged.refusal)
    failed = [str(result.check_name) for result in results if recipe.blocks(result)]
    if failed:
        checks = "check" if len(failed) == 1 else "checks"
        raise StructureError(
            f"stopped because the blocking {checks} {' and '.join(failed)} failed."
        )
    return contents


def _add_totals_of_buckets(run: Run, judged: JudgedTable, texts: ColumnTexts) -> None:
    """Add the totals of each bucket as metadata if a run has several buckets."""
    buckets = run.selection.buckets
    if len(buckets) < 2:
        return
    ids = judged.table[judged.records.project.record_id_field]
    assigned = assign_buckets(ids, run.recipe.tables.buckets)
    for bucket in buckets:
        totals = total_metadata(
            texts, judged.table, judged.cleaned, rows=pc.equal(assigned, bucket)
        )
        run.context.add_asset_metadata(totals, judged.spec.key, partition_key=bucket)
