"""The records of all instruments of a run, as the references of logic are looked up in them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from redcap_dagster.automation import FOLLOWS_CHANGES
from redcap_dagster.execution.run import Run
from redcap_dagster.execution.run_records import exported_records, find_stored, stored_records
from redcap_dagster.project import StructureError
from redcap_dagster.tables.logic import StudyRows


def find_study(run: Run) -> StudyRows:
    """Return the records of all instruments, in which the references of logic are looked up.

    They are those of the run's export; of instruments that it does not replace, the stored ones,
    which are loaded when logic refers to them. Only rows that were exported together are compared.
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
    return StudyRows(project, _StudyTables(run), lambda name: _find_moment(run, name))


def _find_moment(run: Run, instrument: str) -> object:
    """Return what tells when the rows of an instrument were exported, in each bucket."""

    def find() -> object:
        if run.replaces(instrument) or FOLLOWS_CHANGES in run.context.run.tags:
            return "this run"
        return [metadata.get("redcap/exported_at") for metadata in find_stored(run, instrument)]

    moment = run.remember(("moment", instrument), find)
    first, first_moment = run.remember("first moment", lambda: (instrument, moment))
    if moment != first_moment:
        run.remember(
            ("other moment", instrument),
            lambda: run.context.log.info(
                f"The records of {instrument!r} and {first!r} were not exported together. What "
                "logic compares between them cannot be said in this run: records may have changed "
                "in between. Materialize both in one run."
            ),
        )
    return moment


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
