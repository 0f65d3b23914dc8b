"""The tables of one instrument, and what its checks find: from an export, or from storage."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import dagster as dg
import pyarrow as pa

from redcap_dagster.api import RecordExport, REDCapClient
from redcap_dagster.catalog.column_schema import clean_lineage, instrument_schema
from redcap_dagster.catalog.event_log import last_told, row_count_before
from redcap_dagster.catalog.metadata import (
    asset_result,
    counts,
    export_told,
    export_told_before,
    exported_at,
    origin,
    preview,
)
from redcap_dagster.checks import findings
from redcap_dagster.checks.findings import Finding
from redcap_dagster.execution.recipe import Recipe, Selection
from redcap_dagster.execution.record_source import as_seen, has_header, still_there, stored_records
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.tables import (
    CleanTable,
    check_keys,
    choice_columns,
    clean,
    duplicate_keys,
    hidden_columns,
    in_ranges,
    instrument_table,
    is_required,
    unfilled,
)

OF_THE_EXPORT = ("export_complete", "nothing_hidden")
"""Checks that judge what REDCap sends, so that it is asked even where nothing is stored."""

Result = dg.MaterializeResult[Any] | dg.AssetCheckResult


@dataclass(frozen=True)
class Run:
    """What one run of the op has at hand: one moment's structure and, if asked for, records.

    Attributes:
        context: Dagster's.
        recipe: How tables are made.
        selection: What is asked for.
        client: Of the project.
        project: The structure, with what the header of the export tells.
        began: When REDCap was first asked, in UTC.
        census: The records and events that REDCap lists, if it was asked; of the buckets at hand.
        listed: How many REDCap lists in all, likewise.
        forms: The instruments that were exported.
        export: The records of the forms that are asked for, if any are.
        lost: Counts of cells of the export that belong to no table, by column.
    """

    context: dg.AssetExecutionContext = field(repr=False)
    recipe: Recipe
    selection: Selection
    client: REDCapClient
    project: REDCapProject = field(repr=False)
    began: datetime
    census: pa.Table | None = field(default=None, repr=False)
    listed: int | None = None
    forms: Sequence[str] = ()
    export: RecordExport | None = field(default=None, repr=False)
    lost: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def origin(self) -> Mapping[str, Any]:
        """What every table that is made of REDCap's answers tells: its project, when, and how."""
        told = origin(self.client.url, self.project)
        if self.export is not None:
            return {**told, **export_told(self.export)}
        return {**told, **exported_at(self.began), "redcap/listed": self.listed}


@dataclass(frozen=True)
class _Records:
    """The records of a form, typed by nothing yet, and the structure that they are of.

    Attributes:
        table: Their rows.
        project: The structure.
        hidden: The columns that export rights kept back.
        origin: What every table that is made of them tells.
    """

    table: pa.Table = field(repr=False)
    project: REDCapProject = field(repr=False)
    hidden: Sequence[str]
    origin: Mapping[str, Any]


def is_asked_of_redcap(recipe: Recipe, selection: Selection, form: str) -> bool:
    """Whether a form's records are to be exported, for their asset or for a check."""
    spec = recipe.tables.records[form]
    return selection.has(spec) or not set(OF_THE_EXPORT).isdisjoint(selection.checks_of(spec))


def instrument_results(run: Run, form: str) -> Iterator[Result]:
    """Give what is asked for of one instrument: its tables, and one result for each check.

    Where it raises, the checks that are left have not been evaluated.

    Raises:
        StructureError: A table cannot be made, or a blocking check failed.
    """
    if not still_there(run.project, [form]):
        raise StructureError("REDCap no longer has this instrument; reload the code location.")
    records: _Records | None
    if run.selection.has(run.recipe.tables.records[form]):
        records = yield from _new_records(run, form)
    else:
        records = yield from _stored_records(run, form)
    if records is not None:
        yield from _cleaned(run, form, records)


def _new_records(run: Run, form: str) -> Generator[Result, None, _Records]:
    """Give the records as REDCap sent them, and judge them before they replace the stored ones."""
    spec = run.recipe.tables.records[form]
    records = _exported(run, form)
    twins = duplicate_keys(records.table, records.project, form)
    unique = findings.keys_unique(twins)
    if _blocks(run, run.recipe.judged(spec, unique)):
        yield from _judged(run, spec, [unique])
        raise StructureError(
            f"{twins} rows have the key of another row, as if REDCap had sent them twice. Run "
            "again; if it stays so, the repeating set-up is not what REDCap says of it. To store "
            "them as they are, let keys_unique not be blocking."
        )
    found = [
        unique,
        *_of_the_export(run, records),
        findings.rows_not_dropping(
            row_count_before(run.context, spec.key, run.selection.buckets, replacing=True),
            records.table.num_rows,
            run.recipe.checks.max_drop,
        ),
    ]
    results = list(_judged(run, spec, found))
    yield asset_result(
        spec,
        records.table,
        instrument_schema(records.table, records.project, form),
        run.client.digest_key,
        metadata={
            **records.origin,
            **counts(records.table),
            **preview(records.table, run.recipe.preview_rows),
            "redcap/hidden_columns": list(records.hidden),
        },
        check_results=results,
    )
    _stop_where_blocked(run, results)
    return records


def _stored_records(run: Run, form: str) -> Generator[Result, None, _Records | None]:
    """Judge the stored records, and what REDCap sends now, as far as that is asked for."""
    tables = run.recipe.tables
    spec = tables.records[form]
    asked = run.selection.checks_of(spec)
    if not asked.isdisjoint(OF_THE_EXPORT):
        results = list(_judged(run, spec, _of_the_export(run, _exported(run, form))))
        yield from results
        _stop_where_blocked(run, results)
    clean_spec = tables.clean[form]
    cleans = run.selection.has(clean_spec) or run.selection.checks_of(clean_spec)
    if not cleans and asked.issubset(OF_THE_EXPORT):
        return None
    records = _from_storage(run, form)
    found = [
        findings.keys_unique(duplicate_keys(records.table, records.project, form)),
        findings.rows_not_dropping(
            row_count_before(run.context, spec.key, run.selection.buckets, replacing=False),
            records.table.num_rows,
            run.recipe.checks.max_drop,
        ),
    ]
    results = list(_judged(run, spec, found))
    yield from results
    _stop_where_blocked(run, results)
    return records


def _exported(run: Run, form: str) -> _Records:
    if run.export is None:
        raise StructureError("its records were not exported.")
    export, project = run.export.table, run.project
    table = instrument_table(
        export,
        project,
        form,
        blank_status=project.honours_blank_status,
        keep_unsaved=run.recipe.rules.keep_unsaved,
    )
    hidden = hidden_columns(export.column_names, project, form) if has_header(export) else []
    return _Records(table, project, hidden, run.origin)


def _from_storage(run: Run, form: str) -> _Records:
    key = run.recipe.tables.records[form].key
    table = stored_records(run.context, key, run.selection.buckets)
    made = last_told(run.context, key, "redcap/hidden_columns", run.selection.buckets)
    for told in made:
        # One table of several buckets has a column as soon as one of them has it.
        own = {column.name for column in told["dagster/column_schema"].value.columns}
        table = table.select([name for name in table.column_names if name in own])
    project = as_seen(run.project, table, run.recipe.known)
    check_keys(table, project, form)
    hidden = {name for told in made for name in told["redcap/hidden_columns"].value}
    told_now = {**origin(run.client.url, run.project), **export_told_before(made)}
    return _Records(table, project, sorted(hidden), told_now)


def _of_the_export(run: Run, records: _Records) -> list[Finding]:
    """Judge what REDCap sent. What lacks records has been refused before it comes here."""
    named = run.export is not None and has_header(run.export.table)
    return [findings.export_complete(0), findings.nothing_hidden(records.hidden, named=named)]


# -- clean ----------------------------------------------------------------------------------------


def _cleaned(run: Run, form: str, records: _Records) -> Iterator[Result]:
    """Give the clean table, and judge it; for its checks alone it is made and not stored."""
    spec = run.recipe.tables.clean[form]
    asked = run.selection.checks_of(spec)
    if not (run.selection.has(spec) or asked):
        return
    cleaned = clean(records.table, form, records.project, run.recipe.rules)
    schema = instrument_schema(cleaned.table, records.project, form)
    results = []
    if asked:
        found = _of_clean(run, form, records, cleaned, schema)
        results = list(_judged(run, spec, found))
    if run.selection.has(spec):
        records_key = run.recipe.tables.records[form].key
        yield asset_result(
            spec,
            cleaned.table,
            schema,
            run.client.digest_key,
            metadata={
                **records.origin,
                **counts(cleaned.table),
                **preview(cleaned.table, run.recipe.preview_rows),
                "dagster/column_lineage": clean_lineage(
                    records_key, form, records.project, run.recipe.rules
                ),
                "redcap/replaced": cleaned.replaced,
                "redcap/unfit": cleaned.unfit,
                "redcap/inferred_types": cleaned.inferred,
            },
            check_results=results,
        )
    else:
        yield from results
    _stop_where_blocked(run, results)


def _of_clean(
    run: Run, form: str, records: _Records, cleaned: CleanTable, schema: dg.TableSchema
) -> list[Finding]:
    project = records.project
    of_choices = choice_columns(form, project, run.recipe.rules)
    unfit = cleaned.unfit.items()
    return [
        findings.values_fit_types({name: count for name, count in unfit if name not in of_choices}),
        findings.choices_known({name: count for name, count in unfit if name in of_choices}),
        findings.within_range(in_ranges(cleaned.table, form, project)),
        _required(form, records),
        _inferred(run, form, cleaned, schema),
    ]


def _required(form: str, records: _Records) -> Finding:
    names = [column.name for column in records.project.columns(form) if is_required(column.field)]
    if status_column(form) in records.hidden:
        return findings.required_filled({}, names)
    blank = unfilled(records.table, form, records.project, records.hidden)
    return findings.required_filled(blank, [name for name in names if name in records.hidden])


def _inferred(run: Run, form: str, cleaned: CleanTable, schema: dg.TableSchema) -> Finding:
    key = run.recipe.tables.clean[form].key
    made = last_told(run.context, key, "redcap/inferred_types", run.selection.buckets)
    if not made:
        return findings.nothing_to_compare("inferred_types_stable")
    before: dg.TableSchema = made[0]["dagster/column_schema"].value
    return findings.inferred_types_stable(
        {column.name: column.type for column in before.columns},
        {column.name: column.type for column in schema.columns},
        {*cleaned.inferred, *made[0]["redcap/inferred_types"].value},
    )


# -- results --------------------------------------------------------------------------------------


def checks_in(result: Result) -> set[tuple[dg.AssetKey | None, str | None]]:
    """Name the checks that a result of an op answers."""
    results = [result] if isinstance(result, dg.AssetCheckResult) else result.check_results or []
    return {(one.asset_key, one.check_name) for one in results}


def _judged(
    run: Run, spec: dg.AssetSpec, found: Iterable[Finding]
) -> Iterator[dg.AssetCheckResult]:
    """Give the results of the checks that are asked for."""
    asked = run.selection.checks_of(spec)
    return (run.recipe.judged(spec, finding) for finding in found if finding.check in asked)


def _stop_where_blocked(run: Run, results: Sequence[dg.AssetCheckResult]) -> None:
    """Go no further with a form whose blocking check failed."""
    failed = [str(result.check_name) for result in results if _blocks(run, result)]
    if failed:
        raise StructureError(f"it went no further, as {' and '.join(failed)} failed.")


def _blocks(run: Run, result: dg.AssetCheckResult) -> bool:
    """Whether a result is the failure of a blocking check; a warning blocks nothing."""
    failed = not result.passed and result.severity is dg.AssetCheckSeverity.ERROR
    return failed and (result.asset_key, result.check_name) in run.recipe.tables.blocking
