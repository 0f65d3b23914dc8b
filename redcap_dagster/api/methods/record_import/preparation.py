"""What an import sends: the rows of the data, compared with what is stored."""

from dataclasses import dataclass

from redcap_dagster.api.calls.import_data import ImportRows, check_columns
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.record_import.batches import split_into_batches
from redcap_dagster.api.methods.record_import.choices import Meaning
from redcap_dagster.api.methods.record_import.comparison import (
    REFUSALS,
    Comparison,
    StoredRows,
    check_comparisons,
    compare_rows,
    export_stored,
    list_ids,
)
from redcap_dagster.api.methods.record_import.meanings import decide_meanings
from redcap_dagster.api.methods.record_import.record_ids import check_numbers, check_spelling
from redcap_dagster.api.methods.record_import.results import CellChange
from redcap_dagster.api.methods.record_import.target import ImportTarget, Row, Shape


@dataclass(frozen=True, slots=True)
class ImportRules:
    """How the data of an import are read.

    Attributes:
        shape: The shape of the rows.
        overwrite: Whether blank values overwrite stored ones.
        are_stored: Whether records of the rows may be stored; not if REDCap numbers them.
        date_format: The order in dates that are texts.
        choices: What values are that may be codes or labels; None if the data tell.
        batch_size: Rows per request.
    """

    shape: Shape
    overwrite: bool
    are_stored: bool
    date_format: str
    choices: Meaning | None
    batch_size: int


@dataclass(frozen=True, slots=True)
class PreparedImport:
    """What an import would change, and the rows to send.

    Attributes:
        ids: The record ids of the data.
        comparisons: The values of each batch that are not stored yet.
        target: The project.
        id_column: The column of the record id.
    """

    ids: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    target: ImportTarget
    id_column: str

    @property
    def changes(self) -> tuple[CellChange, ...]:
        """The values that are not stored yet."""
        return tuple(change for one in self.comparisons for change in one.changes)

    @property
    def batches(self) -> list[list[Row]]:
        """The rows to send, by request."""
        return [one.rows for one in self.comparisons]

    @property
    def unchanged(self) -> tuple[str, ...]:
        """The records of which no row is sent."""
        sent = {row[self.id_column] for rows in self.batches for row in rows}
        return tuple(record for record in self.ids if record not in sent)


def prepare_import(
    transport: Transport, given: ImportRows, rules: ImportRules, *, must_compare: bool
) -> PreparedImport:
    """Return what an import would change and send. Nothing is imported.

    Args:
        transport: The connection to the project.
        given: The data.
        rules: How the data are read.
        must_compare: Whether it is an error if the user may not export the stored values; otherwise
            all values are sent then.

    Raises:
        ValueError: The data cannot be imported. The message has names and counts only.
        REDCapError: A request failed. The type says why.
    """
    check_columns(given.rows, ())  # before anything is sent
    shape = rules.shape
    target = ImportTarget.export(transport)
    id_column = target.get_id_column(shape)
    rows, told = target.prepare(given.rows, shape, rules.choices)
    batches = list(split_into_batches(rows, id_column, rules.batch_size))
    ids = list_ids(rows, id_column)
    if rules.are_stored:
        check_spelling(ids, [])
        check_numbers(transport, given.rows, id_column, target.project.record_id_field)
    target = target.with_meanings(
        decide_meanings(transport, target, batches, shape, told, given.categories, rules.are_stored)
    )
    comparisons = []
    for batch in batches:
        stored: StoredRows | None = {}
        if rules.are_stored:
            try:
                stored = export_stored(transport, target, batch, shape, rules.overwrite)
            except REFUSALS:
                if must_compare:
                    raise
                stored = None
            check_spelling(list_ids(batch, id_column), [place[0] for place in stored or ()])
        comparisons.append(
            compare_rows(target, batch, shape, stored, rules.overwrite, rules.date_format)
        )
    check_comparisons(comparisons, rules.date_format)
    return PreparedImport(ids, tuple(comparisons), target, id_column)
