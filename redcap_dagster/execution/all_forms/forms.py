"""All instruments of a run together, for the tables over all of them: queries and status."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from redcap_dagster.execution.guards.other_project import is_of_other_project
from redcap_dagster.execution.judging import find_wrong
from redcap_dagster.execution.record_source import existing_instruments
from redcap_dagster.execution.run import Run
from redcap_dagster.execution.run_records import Records, exported_records, stored_records
from redcap_dagster.execution.stored_tables import load_history
from redcap_dagster.failures import reason
from redcap_dagster.project import StructureError
from redcap_dagster.tables import CleanTable, clean
from redcap_dagster.tables.quality import RuleFindings


@dataclass
class AllForms:
    """What a run has of each instrument: from its own tables, else from storage.

    Attributes:
        run: The run.
        records: Records by instrument, as far as they were needed.
        findings: What the rules found, by instrument.
        failed: Instruments that failed in this run, or whose stored records cannot be used, each
            with the reason.
    """

    run: Run
    records: dict[str, Records] = field(default_factory=dict)
    findings: dict[str, Sequence[RuleFindings]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def judge(self, records: Records, cleaned: CleanTable) -> Sequence[RuleFindings]:
        """Return what the rules of queries and checks find; each is judged once in a run.

        Args:
            records: Records of an instrument.
            cleaned: The clean table that is made from them.
        """
        instrument = records.instrument
        if instrument not in self.findings:
            rules = self.run.selection.checks_of(self.run.recipe.tables.clean[instrument])
            if self.run.selection.has_any(self.run.recipe.tables.queries.values()):
                rules = rules.union(self.run.recipe.query_rules)
            self.records[instrument] = records
            self.findings[instrument] = find_wrong(self.run, records, cleaned, rules)
        return self.findings[instrument]

    def collect(self, *, judged: bool) -> None:
        """Collect the records of all instruments, and what the rules find in them.

        Args:
            judged: Whether the rules are needed.
        """
        tables = self.run.recipe.tables
        for instrument in existing_instruments(self.run.project, list(tables.records)):
            known = self.findings if judged else self.records
            if instrument in known or instrument in self.failed:
                continue
            try:
                records = self.records.get(instrument) or self._find_records(instrument)
                self.records[instrument] = records
                if judged:
                    rules = self.run.recipe.rules
                    self.judge(records, clean(records.table, instrument, records.project, rules))
            except Exception as error:  # noqa: BLE001 other libraries' texts may hold values
                self.failed[instrument] = reason(error)

    def find_census(self) -> pa.Table:
        """Return the records and events that REDCap lists: of this run, else as stored.

        Raises:
            StructureError: The census is not stored.
        """
        run, spec = self.run, self.run.recipe.tables.census
        if run.census is not None:
            return run.census
        stored: Sequence[pa.Table] = ()
        if not is_of_other_project(run.context, run.recipe.tables, run.source, spec):
            stored = load_history(run.context, spec, run.selection.buckets)
        if not stored:
            raise StructureError("the census is not stored. Materialize it, or in the same run.")
        return pa.concat_tables(stored, promote_options="default")

    def _find_records(self, instrument: str) -> Records:
        """Return the records of an instrument: exported in this run, else as stored.

        Raises:
            StructureError: They are not there, or of another project.
        """
        run, spec = self.run, self.run.recipe.tables.records[instrument]
        if run.selection.has(spec):
            return exported_records(run, instrument)
        if is_of_other_project(run.context, run.recipe.tables, run.source, spec):
            raise StructureError("its stored records are of another project.")
        return stored_records(run, instrument)
