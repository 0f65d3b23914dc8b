"""One export under trouble, and whether it is the truth of a moment or failed as it should."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from redcap_dagster.api import RecordExport, REDCapClient, REDCapError
from redcap_dagster.execution.record_source import export_forms
from redcap_dagster.project import StructureError
from redcap_dagster.tables import check_agreement
from tests.soak.selection import Asked
from tests.soak.study import CANARY, Study, Tables
from tests.soak.troubles import Trouble

WHOLE = "whole"
PIECED = "told to be of no one moment"

logger = logging.getLogger(__name__)


class ThirdThingError(AssertionError):
    """An export that is neither the truth of one moment nor a typed error."""


@dataclass
class Tally:
    """How exports ended.

    Attributes:
        ends: How often each end came.
        mendable: How many had troubles that asking again mends, or none.
        mended: How many of these were whole.
        troubles: How often each kind of trouble stood in the way, and the export was whole.
    """

    ends: Counter[str] = field(default_factory=Counter)
    mendable: int = 0
    mended: int = 0
    troubles: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def exports(self) -> int:
        return self.ends.total()

    def add(self, troubles: Sequence[Trouble], end: str) -> bool:
        """Count one, and say whether it was mended as far as it can be."""
        mendable = all(trouble.mends for trouble in troubles)
        self.ends[end] += 1
        self.mendable += mendable
        self.mended += mendable and end == WHOLE
        for kind in {trouble.kind for trouble in troubles}:
            self.troubles.setdefault(kind, Counter())[end] += 1
        return end == WHOLE or not mendable


def export_once(
    study: Study, client: REDCapClient, asked: Asked, troubles: Sequence[Trouble]
) -> str:
    """Export once, and say how it ended: whole, pieced, or the name of an error.

    Raises:
        ThirdThingError: It ended in no such way.
    """
    start = len(study.history) - 1
    error: REDCapError | StructureError | None = None
    for trouble in troubles:
        trouble.inject(study)
    try:
        export = _export(study, client, asked)
        check_agreement(export.table, study.seen(export.table))
    except (REDCapError, StructureError) as caught:
        error = caught
    finally:
        study.sandbox.clear_faults()
    if study.broken:
        raise ThirdThingError("the others could not change what they wanted") from study.broken[0]
    if error is not None:
        text = f"{error!s} {error!r}"
        if CANARY in text or study.token in text:
            raise ThirdThingError(f"{type(error).__name__} shows what nobody may see")
        return type(error).__name__
    return judge(study, export, asked, study.history[start:])


def _export(study: Study, client: REDCapClient, asked: Asked) -> RecordExport:
    """Export the way the op does, which asks for all records or for buckets."""
    structure, project, forms = study.structure, study.project, asked.forms
    if not asked.selection:
        return export_forms(client, structure, project, forms, logger, asked.among)
    return client.export_snapshot(
        structure,
        forms=forms,
        export_survey_fields=True,
        export_data_access_groups=True,
        export_blank_for_gray_form_status=project.honors_blank_status,
        **asked.selection,
    )


def judge(
    study: Study, export: RecordExport, asked: Asked, moments: Sequence[pa.Table | None]
) -> str:
    """Say whether an export is the truth of one of some moments, or told to be of none.

    Raises:
        ThirdThingError: It is neither.
    """
    got, forms = study.tables(export.table), asked.forms
    truths = [study.tables(asked.keep(rows)) for rows in moments if rows is not None]
    if any(all(_same(got[form], truth[form]) for form in forms) for truth in truths):
        return WHOLE
    if export.consistent:
        differences = "\n".join(_difference(got, truth, forms) for truth in truths)
        raise ThirdThingError(f"the tables of no moment, and told to be of one:\n{differences}")
    for form in forms:
        _check_pieces(form, got, truths)
    return PIECED


def _same(got: pa.Table, truth: pa.Table) -> bool:
    """Whether two tables are the same; without rows, a server may name no column."""
    return bool(got.equals(truth)) or got.num_rows == truth.num_rows == 0


def _check_pieces(form: str, got: Tables, truths: Sequence[Tables]) -> None:
    """Make sure that each row was true at some moment, and that none is missing that always was."""
    rows = {_text(row) for row in got[form].to_pylist()}
    seen = [{_text(row) for row in truth[form].to_pylist()} for truth in truths]
    if made_up := rows - set().union(*seen):
        raise ThirdThingError(f"{len(made_up)} rows of {form} were never true")
    if lost := set.intersection(*seen) - rows:
        raise ThirdThingError(f"{len(lost)} rows of {form} are lost that were true all the time")


def _difference(got: Tables, truth: Tables, forms: list[str]) -> str:
    """Show the rows that an export has and a moment had not, and the other way round."""
    lines = []
    for form in forms:
        ours, theirs = ([_text(row) for row in tables[form].to_pylist()] for tables in (got, truth))
        lines += [f"  + {row}" for row in ours if row not in theirs]
        lines += [f"  - {row}" for row in theirs if row not in ours]
    return "a moment:\n" + ("\n".join(lines) or "  the same rows in another order")


def _text(row: object) -> str:
    return repr(row)
