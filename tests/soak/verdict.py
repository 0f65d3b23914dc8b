"""One export with troubles, and whether its outcome is one of those that are allowed."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from redcap_dagster.api import RecordExport, REDCapClient, REDCapError
from redcap_dagster.execution.record_source import export_instruments
from redcap_dagster.project import StructureError
from redcap_dagster.tables import check_agreement
from tests.soak.selection import ExportSelection
from tests.soak.study import CANARY, Study, Tables
from tests.soak.troubles import Trouble

COMPLETE = "complete"
INCONSISTENT = "reported as not a consistent snapshot"

logger = logging.getLogger(__name__)


class WrongExportError(AssertionError):
    """An export that is wrong without an error, or an error that shows a value or a token."""


@dataclass
class Tally:
    """The outcomes of exports.

    Attributes:
        outcomes: Number of exports by outcome.
        recoverable: Number of exports with recoverable troubles only, or none.
        recovered: Number of these that are complete.
        troubles: Number of exports by kind of trouble and outcome.
        rounds: Number of rounds, each of a dialect.
        wrong: Wrong exports, which no error reported, by name of the dialect.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    recoverable: int = 0
    recovered: int = 0
    troubles: dict[str, Counter[str]] = field(default_factory=dict)
    rounds: int = 0
    wrong: dict[str, list[WrongExportError]] = field(default_factory=dict)

    @property
    def exports(self) -> int:
        return self.outcomes.total()

    def add(self, troubles: Sequence[Trouble], outcome: str) -> bool:
        """Count an outcome, and return whether it is as good as its troubles allow."""
        recoverable = all(trouble.recoverable for trouble in troubles)
        self.outcomes[outcome] += 1
        self.recoverable += recoverable
        self.recovered += recoverable and outcome == COMPLETE
        for kind in {trouble.kind for trouble in troubles}:
            self.troubles.setdefault(kind, Counter())[outcome] += 1
        return outcome == COMPLETE or not recoverable


def export_once(
    study: Study, client: REDCapClient, selection: ExportSelection, troubles: Sequence[Trouble]
) -> str:
    """Export once, and return the outcome: complete, inconsistent, or the name of an error.

    Raises:
        WrongExportError: The outcome is not one of these.
    """
    start = len(study.history) - 1
    error: REDCapError | StructureError | None = None
    for trouble in troubles:
        trouble.inject(study)
    try:
        export = _export_records(study, client, selection)
        check_agreement(export.table, study.observe_project(export.table))
    except (REDCapError, StructureError) as caught:
        error = caught
    finally:
        study.sandbox.clear_faults()
    if study.failed_changes:
        raise WrongExportError("a change by the other user failed") from study.failed_changes[0]
    if error is not None:
        text = f"{error!s} {error!r}"
        if CANARY in text or study.token in text:
            raise WrongExportError(f"{type(error).__name__} shows a value or the token")
        return type(error).__name__
    return judge_export(study, export, selection, study.history[start:])


def _export_records(study: Study, client: REDCapClient, selection: ExportSelection) -> RecordExport:
    """Export as the op does if all records or a bucket are requested."""
    structure, project, forms = study.structure, study.project, selection.forms
    if not selection.parameters:
        return export_instruments(client, structure, project, forms, logger, selection.among)
    return client.export_snapshot(
        structure,
        forms=forms,
        export_survey_fields=True,
        export_data_access_groups=True,
        export_blank_for_gray_form_status=project.honors_blank_status,
        **selection.parameters,
    )


def judge_export(
    study: Study,
    export: RecordExport,
    selection: ExportSelection,
    snapshots: Sequence[pa.Table | None],
) -> str:
    """Return whether an export is one of the snapshots, or reported as inconsistent.

    Raises:
        WrongExportError: It is neither.
    """
    export_tables, forms = study.make_tables(export.table), selection.forms
    expected = [study.make_tables(selection.keep(rows)) for rows in snapshots if rows is not None]
    if any(
        all(_are_equal(export_tables[form], snapshot_tables[form]) for form in forms)
        for snapshot_tables in expected
    ):
        return COMPLETE
    if export.consistent:
        differences = "\n".join(
            _describe_difference(export_tables, snapshot_tables, forms)
            for snapshot_tables in expected
        )
        raise WrongExportError(
            f"reported as a consistent snapshot, but equal to none:\n{differences}"
        )
    for form in forms:
        _check_rows(form, export_tables, expected)
    return INCONSISTENT


def _are_equal(export_tables: pa.Table, snapshot_tables: pa.Table) -> bool:
    """Return whether two tables are equal; without rows, a server may send no columns."""
    return (
        bool(export_tables.equals(snapshot_tables))
        or export_tables.num_rows == snapshot_tables.num_rows == 0
    )


def _check_rows(form: str, export_tables: Tables, expected: Sequence[Tables]) -> None:
    """Check that each row is in some snapshot, and that no row of all snapshots is missing."""
    rows = {_format_row(row) for row in export_tables[form].to_pylist()}
    observed = [
        {_format_row(row) for row in snapshot_tables[form].to_pylist()}
        for snapshot_tables in expected
    ]
    if made_up := rows - set().union(*observed):
        raise WrongExportError(f"{len(made_up)} rows of {form} are in no snapshot")
    if lost := set.intersection(*observed) - rows:
        raise WrongExportError(f"{len(lost)} rows of {form} are missing that all snapshots have")


def _describe_difference(export_tables: Tables, snapshot_tables: Tables, forms: list[str]) -> str:
    """Return the rows that only the export or only the snapshot has."""
    lines = []
    for form in forms:
        ours, theirs = (
            [_format_row(row) for row in tables[form].to_pylist()]
            for tables in (export_tables, snapshot_tables)
        )
        lines += [f"  + {row}" for row in ours if row not in theirs]
        lines += [f"  - {row}" for row in theirs if row not in ours]
    return "a snapshot:\n" + ("\n".join(lines) or "  the same rows in another order")


def _format_row(row: object) -> str:
    return repr(row)
