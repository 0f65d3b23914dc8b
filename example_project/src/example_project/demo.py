"""Materialize every asset once and print the result: ``python -m example_project.demo``."""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from example_project.defs.warehouse import WAREHOUSE
from example_project.local import (
    DAGSTER_HOME,
    PROJECT,
    fetch_structure,
    is_own_study,
    name_own_study,
    redcap,
    running,
    tail,
)

LOG = DAGSTER_HOME / "demo.log"
MATERIALIZE = ("dg", "launch", "--assets", "*")


def main(xml: Path | None = None) -> None:
    """Materialize the studies of the REDCap in the environment, or of a sandbox.

    Args:
        xml: Project XML to use instead. Defaults to None.
    """
    console = Console(highlight=False, soft_wrap=True)
    stored: dict[dg.AssetKey, dict[str, Any]] = {}
    failures = 0
    started = time.monotonic()
    with dg.DagsterInstance.from_config(str(DAGSTER_HOME)) as instance, redcap(xml) as source:
        warehouse = PROJECT / f"{name_own_study()}.duckdb" if is_own_study() else WAREHOUSE
        console.print(f"REDCap at {source.url}, tables to {_short(warehouse)}")
        fetch_structure()
        with (
            console.status("Dagster is working"),
            running(*MATERIALIZE, log=LOG) as process,
        ):
            for event in _events(instance, process):
                if event.is_step_failure:
                    failures += 1
                    console.print(f"[red]failed[/]  {escape(_reason(event))}")
                elif event.is_step_materialization:
                    done = event.step_materialization_data.materialization
                    metadata = {name: entry.value for name, entry in done.metadata.items()}
                    stored[done.asset_key] = metadata
                    rows = metadata.get("dagster/row_count", "?")
                    console.print(
                        f"[green]stored[/]  {done.asset_key.to_user_string()}, rows: {rows}"
                    )
    if process.returncode:
        if not failures:  # There was no run.
            console.print(escape(tail(LOG)), style="dim")
        console.print(f"The run failed; all that Dagster said is in {_short(LOG)}")
        sys.exit(1)
    console.print(_table(stored))
    for key, metadata in stored.items():
        if (found := metadata.get("redcap/open_queries")) is not None:
            console.print(f"What to mend: {found} rows in {key.to_user_string()}")
            if (books := PROJECT / "to_mend").is_dir() and not is_own_study():
                console.print(f"              and as workbooks in {_short(books)}")
    ui = "make ui" if xml is None else f"make ui XML={shlex.quote(str(xml))}"
    console.print(
        f"{len(stored)} tables in {time.monotonic() - started:.0f} s. What next:\n"
        f"  {ui}     the same in the Dagster UI, with the pictures\n"
        f'  {_short(Path(sys.executable))} -c "import duckdb; '
        f"duckdb.connect('{_short(warehouse)}', read_only=True)"
        f".sql('from {_place(stored)}').show()\""
    )


def _events(
    instance: dg.DagsterInstance, process: subprocess.Popen[bytes]
) -> Iterator[dg.DagsterEvent]:
    """Yield the events of the run that a process starts, as they are recorded."""
    begun = dg.RunsFilter(created_after=datetime.now(UTC))
    cursor = None
    ended = False
    while not ended:
        # Polled before the events are read, so that the last ones are read, too.
        ended = process.poll() is not None
        for run in instance.get_runs(begun, limit=1):
            page = instance.get_records_for_run(run.run_id, cursor)
            cursor = page.cursor
            for record in page.records:
                if record.event_log_entry.dagster_event:
                    yield record.event_log_entry.dagster_event
        time.sleep(0.2)


def _reason(event: dg.DagsterEvent) -> str:
    """Return the name of a failed step and its first cause."""
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    return f"{event.step_key}: {error.message.strip() if error else event.message}"


def _table(stored: Mapping[dg.AssetKey, Mapping[str, Any]]) -> Table:
    table = Table()
    table.add_column("asset", overflow="fold")
    for heading in ("rows", "columns", "markers replaced"):
        table.add_column(heading, justify="right")
    for key, metadata in sorted(stored.items()):
        rows = metadata.get("dagster/row_count")
        schema = metadata.get("dagster/column_schema")
        replaced = metadata.get("redcap/replaced_values")
        counts = (
            rows,
            None if schema is None else len(schema.columns),
            replaced,
        )
        table.add_row(
            key.to_user_string(), *("" if count is None else f"{count:,}" for count in counts)
        )
    return table


def _place(keys: Iterable[dg.AssetKey]) -> str:
    """Return the table name of a clean asset, as the IO manager makes it."""
    *prefix, name = max(keys, key=lambda key: "clean" in key.path).path
    return f"{'_'.join(prefix)}.{name}"


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:2]))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
