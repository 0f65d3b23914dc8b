"""The records of all instruments of a run, as the references of logic are looked up in them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from redcap_dagster.execution.run import Run
from redcap_dagster.execution.run_records import exported_records, find_stored, stored_records
from redcap_dagster.project import StructureError
from redcap_dagster.tables.logic import StudyRows


def find_study(run: Run) -> StudyRows:
    """Return the records of all instruments, in which the references of logic are looked up.

    They are those of the run's export; of instruments that it does not replace, the stored ones,
    which are loaded when logic refers to them.
    """
    return run.remember("study", lambda: _make_study(run))


def _make_study(run: Run) -> StudyRows:
    project, known = run.project, run.recipe.known
    if run.export is None:
        project = replace(
            project,
            surveys=known.surveys,
            has_access_groups=known.has_access_groups,
            has_survey_identifier=known.has_survey_identifier,
        )
    stored = [name for name in run.recipe.tables.records if not run.replaces(name)]
    return StudyRows(project, _StudyTables(run), frozenset(stored if run.export else ()))


class _StudyTables(Mapping[str, pa.Table]):
    """The records tables of a run's instruments, each without the columns that rights hide."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._read: dict[str, pa.Table | None] = {}

    def __getitem__(self, instrument: str) -> pa.Table:
        if instrument not in self._read:
            self._read[instrument] = _read_table(self._run, instrument)
        table = self._read[instrument]
        if table is None:
            raise KeyError(instrument)
        return table

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._run.recipe.tables.records if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _read_table(run: Run, instrument: str) -> pa.Table | None:
    """Return the shown columns of an instrument's records; None if they cannot be read."""
    if instrument not in run.recipe.tables.records:
        return None
    try:
        if run.replaces(instrument):
            records = exported_records(run, instrument)
        elif find_stored(run, instrument):
            records = stored_records(run, instrument)
        else:
            return None
    except StructureError as error:
        run.context.log.info(
            f"Logic cannot refer to the values of {instrument!r} in this run: {error}"
        )
        return None
    shown = [name for name in records.table.column_names if name not in records.hidden]
    return records.table.select(shown)
