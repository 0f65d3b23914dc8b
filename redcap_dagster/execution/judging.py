"""What the checks of one instrument find: in its export, its stored records, its clean table."""

from collections.abc import Collection, Sequence

import pyarrow.compute as pc

from redcap_dagster.catalog.column_schema import INFERRED, type_name
from redcap_dagster.catalog.event_log import Metadata, last_metadata, previous_row_count
from redcap_dagster.checks import findings, rule_findings
from redcap_dagster.checks.checks import MOST_OWN_CHECKS, OTHER_RULES
from redcap_dagster.checks.findings import Finding
from redcap_dagster.execution.record_source import has_header
from redcap_dagster.execution.run import Run
from redcap_dagster.execution.run_records import Records
from redcap_dagster.execution.study_tables import find_study
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.tables import (
    CleanTable,
    count_duplicate_rows,
    count_merged_codes,
)
from redcap_dagster.tables.quality import (
    RULES,
    InstrumentRows,
    OwnRule,
    RequiredOf,
    RuleFindings,
    judge_own_rule,
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


def judge_clean(
    run: Run, records: Records, cleaned: CleanTable, found: Sequence[RuleFindings]
) -> list[Finding]:
    """Return what the selected checks of a clean table find.

    Args:
        run: The run.
        records: The records that the table was made from.
        cleaned: The clean table.
        found: What their rules found in it.
    """
    instrument, project = records.instrument, records.project
    selected = run.selection.checks_of(run.recipe.tables.clean[instrument])
    by_rule = {
        name: [each for each in found if each.rule == name] for name in RULES if name in selected
    }
    required = by_rule.pop("required_filled", None)
    hidden_required = _list_hidden_required(run, records)
    return [
        *(rule_findings.found_by_rule(name, own) for name, own in by_rule.items()),
        *([] if required is None else [rule_findings.required_filled(required, hidden_required)]),
        *_judge_own_rules(run, instrument, selected),
        findings.labels_distinct(
            count_merged_codes(records.table, instrument, project, run.recipe.rules)
        ),
        _judge_inferred_types(run, instrument, cleaned),
    ]


def find_wrong(
    run: Run, records: Records, cleaned: CleanTable, rules: Collection[str]
) -> list[RuleFindings]:
    """Return what rules find in the rows of an instrument, which their checks count.

    Args:
        run: The run.
        records: The records of the instrument.
        cleaned: The clean table that is made from them.
        rules: Names of the rules: of `RULES`, or the project's own.
    """
    unique = records.project.info.secondary_unique_field
    rows = InstrumentRows(
        records.instrument,
        records.table,
        cleaned,
        records.project,
        run.recipe.rules,
        find_study(run),
        records.hidden,
        _find_required_rows(run, records.instrument),
        is_whole=run.has_all_buckets,
        # A run asks REDCap only where the rule of unique values needs it.
        sees_all_records=unique not in records.table.column_names
        or run.sees_all_records(records.table),
    )
    own = [
        each
        for several in run.recipe.tables.own_rules.values()
        for each in several
        if each.rule.name in rules and records.instrument in each.instruments
    ]
    return [
        *(
            _count_once(run, each)
            for name, judge in RULES.items()
            if name in rules
            for each in judge(rows)
        ),
        *(
            each
            for rule in own
            for each in _find_own(run, rule)
            if each.instrument == records.instrument
        ),
    ]


def _find_required_rows(run: Run, instrument: str) -> RequiredOf:
    return run.recipe.checks.settings_for("required_filled", instrument).of or "complete"


def _count_once(run: Run, found: RuleFindings) -> RuleFindings:
    """Return what a rule found, with one wrong row for each query that it is listed as.

    Of duplicate rows it is the first. Records that are not listed any more have none: their rows
    are in the stored tables of instruments that are not in the run.
    """
    study = find_study(run)
    if run.census is not None and not run.replaces(found.instrument):
        name = run.project.record_id_field
        listed = run.census[name].combine_chunks()
        found = found.keep(pc.is_in(study.read_column(found.instrument, name), listed))
    return found.keep_first(study.find_keys(found.instrument)) if found.count > 1 else found


def _find_own(run: Run, rule: OwnRule) -> list[RuleFindings]:
    """Return what one of the project's own rules finds, in each of its instruments."""
    study = find_study(run)

    def find() -> list[RuleFindings]:
        is_whole = not rule.rule.unique or all(
            run.has_all_buckets and run.sees_all_records(study.tables[name])
            for name in rule.instruments
            if name in study.tables
        )
        found = judge_own_rule(study, rule, is_whole=is_whole)
        return [_count_once(run, each) for each in found]

    return study.remember(("own rule", rule), find)


def _judge_own_rules(run: Run, instrument: str, selected: Collection[str]) -> list[Finding]:
    """Return what the project's own rules find whose checks an instrument has."""
    rules = run.recipe.tables.own_rules.get(instrument, ())
    alone, others = rules[:MOST_OWN_CHECKS], rules[MOST_OWN_CHECKS:]
    found = [
        rule_findings.found_by_own_rule(rule, _find_own(run, rule))
        for rule in alone
        if rule.check in selected
    ]
    if OTHER_RULES not in selected:
        return found
    together = {
        rule.rule.name: rule_findings.found_by_own_rule(rule, _find_own(run, rule))
        for rule in others
    }
    return [*found, rule_findings.found_by_other_rules(together)]


def _list_hidden_required(run: Run, records: Records) -> list[str]:
    """Return the required columns that cannot be judged, as export rights hide them."""
    columns = records.project.columns(records.instrument)
    required = [column.name for column in columns if column.field.is_required]
    judged = _find_required_rows(run, records.instrument)
    if judged == "complete" and status_column(records.instrument) in records.hidden:
        return required
    return [name for name in required if name in records.hidden]


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
