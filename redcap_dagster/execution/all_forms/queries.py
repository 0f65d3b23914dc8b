"""The tables of queries: what is to be mended, after the rules judged all instruments of a run."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from redcap_dagster.catalog.column_schema import plain_schema
from redcap_dagster.catalog.metadata import asset_result, project_metadata, time_metadata
from redcap_dagster.execution.all_forms.forms import AllForms
from redcap_dagster.execution.all_forms.history_guard import (
    find_last_stored,
    refuse_other_histories,
)
from redcap_dagster.execution.guards.new_columns import refuse_new_columns
from redcap_dagster.execution.guards.other_project import is_of_other_project
from redcap_dagster.execution.run import Result, Run
from redcap_dagster.execution.stored_tables import load_history
from redcap_dagster.markdown import build_markdown_table
from redcap_dagster.partitions import assign_buckets
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.tables import has_hashed_ids, read_contents
from redcap_dagster.tables.queries import (
    QUERY_DESCRIPTIONS,
    Confirmations,
    JudgedForm,
    Judgment,
    QueryTables,
    read_history,
    update_queries,
)

_NO_GROUP = "no group"


def query_results(
    run: Run, forms: AllForms, confirmed: Confirmations
) -> Generator[Result, None, pa.Table]:
    """Yield the tables of queries that a run selects, and return the open list.

    Args:
        run: The run.
        forms: All instruments of the run, after the last one.
        confirmed: What a data manager confirmed.

    Returns:
        The open list.

    Raises:
        StructureError: The stored history cannot be loaded, a table cannot be stored, or another
            run stored the queries meanwhile.
    """
    tables, settings = run.recipe.tables, run.recipe.queries
    assert settings is not None  # noqa: S101 else there are no such assets
    loaded = find_last_stored(run)
    before = load_query_history(run)
    forms.collect(judged=True)
    made = update_queries(
        _judge(run, forms, before),
        before,
        confirmed,
        show_values=settings.show_values,
        url=run.client.url,
    )
    if made.refused:
        rows = list_names([f"{row} ({reason})" for row, reason in sorted(made.refused.items())])
        run.context.log.warning(f"Rows of the confirmations that were refused: {rows}.")
    if made.not_found:
        run.context.log.info(
            "Rows of the confirmations whose queries are not in the buckets of this run: "
            f"{list_names(made.not_found)}. Other buckets may have them; a run of all buckets "
            "refuses ids that no query has."
        )
    if forms.failed:
        run.context.log.warning(
            "Instruments that were not judged, so that their queries stay as they were: "
            f"{list_names(list(forms.failed))}."
        )
    if run.selection.has(tables.queries["history"]):
        refuse_other_histories(run, loaded)
    counted = _count(run, forms, made)
    by_bucket = dict(_count_buckets(run, forms, made))
    for name, table in (("open", made.open), ("history", made.history)):
        spec, schema = tables.queries[name], plain_schema(table, QUERY_DESCRIPTIONS)
        if not run.selection.has(spec):
            continue
        refuse_new_columns(run.context, spec, schema, tables.buckets)
        metadata = {
            **project_metadata(run.client.url, run.project),
            **time_metadata(run.began),
            **counted[name],
        }
        for bucket, counts in by_bucket.items():
            run.context.add_asset_metadata(counts[name], asset_key=spec.key, partition_key=bucket)
        yield asset_result(
            spec, read_contents(table), schema, run.client.digest_key, metadata=metadata
        )
    return made.open


def load_query_history(run: Run) -> pa.Table | None:
    """Return the stored history; None if no history of this project is stored.

    Raises:
        StructureError: It is stored, but cannot be loaded.
    """
    spec = run.recipe.tables.queries["history"]
    if is_of_other_project(run.context, run.recipe.tables, run.source, spec):
        return None
    stored = load_history(run.context, spec, run.selection.buckets)
    return pa.concat_tables([read_history(table) for table in stored]) if stored else None


def _judge(run: Run, forms: AllForms, before: pa.Table | None) -> Judgment:
    """Return what the run says of the records of its selected buckets."""
    recipe = run.recipe
    assert recipe.queries is not None  # noqa: S101 else there are no such assets
    rules = [
        rule
        for rule in recipe.query_rules
        if any(recipe.is_on(rule, instrument) for instrument in recipe.tables.records)
    ]
    listed = None
    if run.census is not None:
        listed = frozenset(run.census[run.project.record_id_field].to_pylist())
    known = set() if before is None else set(before["record"].to_pylist())
    judged = {
        name: JudgedForm(
            name,
            forms.records[name].table,
            [each for each in findings if recipe.is_on(each.rule, name)],
            {
                each.rule: recipe.queries.severity or recipe.severity_of(each.rule, name)
                for each in findings
            },
            forms.records[name].hidden,
        )
        for name, findings in forms.findings.items()
    }
    return Judgment(
        project=run.project,
        server=run.source.server,
        at=run.began,
        forms=judged,
        rules=rules,
        instruments=frozenset(recipe.tables.records),
        listed=listed,
        sees_all_records=bool(listed is not None and known - listed) and _sees_all_records(run),
        is_whole=run.has_all_buckets,
    )


def _sees_all_records(run: Run) -> bool:
    """Whether the token's user certainly sees all records, by their ids."""
    if run.census is None or (run.export and has_hashed_ids(run.export.table, run.project)):
        return False
    return run.sees_all_records(run.census)


def _count(run: Run, forms: AllForms, made: QueryTables) -> Mapping[str, Mapping[str, Any]]:
    """Return the numbers of queries that the metadata of each table has."""
    states = {"redcap/query_states": dict(made.count_states())}
    return {"open": _count_open(run, forms, made), "history": states}


def _count_buckets(
    run: Run, forms: AllForms, made: QueryTables
) -> Iterator[tuple[str, Mapping[str, Mapping[str, Any]]]]:
    """Yield the buckets of a run of several, with the numbers of queries in each."""
    if len(run.selection.buckets) <= 1:
        return
    tables = (made.open, made.history)
    buckets = [assign_buckets(each["record"], run.recipe.tables.buckets) for each in tables]
    for bucket in run.selection.buckets:
        of_open, of_history = (
            table.filter(pc.equal(of_row, bucket))
            for table, of_row in zip(tables, buckets, strict=True)
        )
        yield bucket, _count(run, forms, QueryTables(of_open, of_history, made.refused))


def _count_open(run: Run, forms: AllForms, made: QueryTables) -> Mapping[str, Any]:
    """Return the numbers of queries in the open list, by rule and by access group."""
    counts = made.count_open()
    by_rule = dict.fromkeys(run.recipe.query_rules, 0)
    by_group: dict[str, int] = {}
    if run.census is not None and ACCESS_GROUP in run.census.column_names:
        groups = run.census[ACCESS_GROUP].unique().to_pylist()
        by_group = dict.fromkeys(sorted(group or _NO_GROUP for group in groups), 0)
    for rule, group, count in counts:
        by_rule[rule] = by_rule.get(rule, 0) + count
        by_group[group or _NO_GROUP] = by_group.get(group or _NO_GROUP, 0) + count
    rows = [(rule, group or _NO_GROUP, count) for rule, group, count in counts]
    return {
        "redcap/open_queries": made.open.num_rows,
        **{f"redcap/open_queries/{rule}": count for rule, count in by_rule.items()},
        **{f"redcap/open_queries_in/{group}": count for group, count in by_group.items()},
        "redcap/queries": dg.MetadataValue.md(
            build_markdown_table(["rule", "access group", "queries"], rows)
        ),
        "redcap/not_judged": dict(forms.failed),
        "redcap/refused_confirmations": {str(row): why for row, why in made.refused.items()},
    }
