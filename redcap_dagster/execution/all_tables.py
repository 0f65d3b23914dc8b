"""All tables of a run: of each instrument, then those over all instruments."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Final

import dagster as dg

from redcap_dagster.execution.ahead import iterate_ahead
from redcap_dagster.execution.all_forms.forms import AllForms
from redcap_dagster.execution.all_forms.queries import query_results
from redcap_dagster.execution.all_forms.query_files import (
    check_workbooks,
    load_confirmations,
    write_query_workbooks,
)
from redcap_dagster.execution.all_forms.status import status_results
from redcap_dagster.execution.instrument import instrument_results
from redcap_dagster.execution.op_failures import CheckId, unevaluated_checks
from redcap_dagster.execution.run import Result, Run
from redcap_dagster.failures import reason
from redcap_dagster.tables.quality import describe_problems

_QUERIES: Final = "the list of queries"
_WORKBOOKS: Final = "the workbooks of queries"
_STATUS: Final = "the status of the forms"


def make_all_tables(run: Run) -> Iterator[Result]:
    """Yield what a run selects of all instruments, then the tables over all of them.

    What fails does not stop the others.

    Args:
        run: The run.

    Raises:
        Failure: Something failed; the message has the names and the reasons.
    """
    tables, selection = run.recipe.tables, run.selection
    forms = AllForms(run)
    confirmed = queries = None
    failed: dict[str, str] = {}
    if problems := describe_problems(run.recipe.own_rules):
        run.context.log.warning(problems)
    if selection.has_any(tables.queries.values()):
        with _record_failure(run, failed, _QUERIES):
            confirmed = load_confirmations(run)
        with _record_failure(run, failed, _WORKBOOKS):
            check_workbooks(run)
    instruments = _make_instruments(run, forms)
    # What loads from storage, or adds metadata of single buckets, waits until Dagster is done.
    is_whole = all(selection.has(spec) for spec in tables.records.values())
    waits = not is_whole or len(selection.buckets) > 1
    yield from instruments if waits else iterate_ahead(instruments)
    failed |= forms.failed
    if confirmed is not None:
        with _record_failure(run, failed, _QUERIES):
            queries = yield from query_results(run, forms, confirmed)
        if queries is not None and _WORKBOOKS not in failed:
            with _record_failure(run, failed, _WORKBOOKS):
                write_query_workbooks(run, forms, queries, confirmed)
    if selection.has_any(tables.status.values()):
        with _record_failure(run, failed, _STATUS):
            yield from status_results(run, forms, queries)
    if failed:
        what = "instruments" if failed.keys() & tables.records.keys() else "tables"
        reasons = "; ".join(f"{name}: {text}" for name, text in failed.items())
        raise dg.Failure(
            f"Failed {what} of the REDCap project {tables.name} (all others succeeded): {reasons}",
            allow_retries=False,
        )


@contextmanager
def _record_failure(run: Run, failed: dict[str, str], name: str) -> Iterator[None]:
    """Add the reason of an error to what failed, with a warning, instead of raising it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 other libraries' texts may hold values
        failed[name] = reason(error)
        run.context.log.warning(f"Failed: {name}. All other tables are stored. {failed[name]}")


def _make_instruments(run: Run, forms: AllForms) -> Generator[Result, None, None]:
    """Yield what a run selects of all instruments; one that fails does not stop the others."""
    tables, selection = run.recipe.tables, run.selection
    for instrument in tables.records:
        specs = (tables.records[instrument], tables.clean[instrument])
        if not any(selection.has(spec) or selection.checks_of(spec) for spec in specs):
            continue
        evaluated: set[CheckId] = set()
        try:
            for result in instrument_results(run, instrument, forms):
                evaluated |= _evaluated_checks(result)
                yield result
        except Exception as error:  # noqa: BLE001 other libraries' texts may hold values
            forms.failed[instrument] = reason(error)
            yield from unevaluated_checks(run.recipe, selection, specs, error, evaluated)


def _evaluated_checks(result: Result) -> set[CheckId]:
    """Return the checks that have their result in a result of an op."""
    results = [result] if isinstance(result, dg.AssetCheckResult) else result.check_results or []
    return {(one.asset_key, one.check_name) for one in results}
