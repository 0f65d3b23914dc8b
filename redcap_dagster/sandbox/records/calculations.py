"""Calculated fields, which the server recalculates when data of a record is imported."""

from collections.abc import Sequence
from dataclasses import replace

from redcap_dagster.project import Field
from redcap_dagster.project.logic import (
    UNKNOWN,
    Facts,
    LogicError,
    Node,
    Reference,
    Unknown,
    evaluate_calculated_field,
    parse_logic,
)
from redcap_dagster.sandbox.records.logic_references import (
    check_references,
    find_column,
    make_facts_reader,
)
from redcap_dagster.sandbox.store.columns import index_columns
from redcap_dagster.sandbox.store.row_keys import RowKey, list_row_forms
from redcap_dagster.sandbox.store.store import Store, StoredProject


def recalculate(store: Store, project: StoredProject, records: Sequence[str]) -> None:
    """Recalculate the calculated fields of some records, in the order of the dictionary.

    A field keeps its value if its calculation is invalid. A result that is not a number is not
    saved, and neither is one that cannot be said (guess).
    """
    for field in project.structure.fields:
        if field.field_type != "calc":
            continue
        try:
            logic = parse_logic(field.select_choices_or_calculations)
            check_references(project.structure, logic)
            _recalculate(store, project, records, field, logic)
        except LogicError:
            continue


def _recalculate(
    store: Store, project: StoredProject, records: Sequence[str], field: Field, logic: Node
) -> None:
    structure = project.structure
    read_facts = make_facts_reader(store, project, records, logic)
    forms = {name: column.field.form_name for name, column in index_columns(structure).items()}

    def read_row_facts(row_key: RowKey) -> Facts:
        row_forms = list_row_forms(structure, row_key.event, row_key.instrument)
        in_row, in_event = read_facts(row_key), read_facts(RowKey(row_key.record, row_key.event))

        def read_value(reference: Reference) -> str | Unknown:
            # In the row itself, else in the event's row that does not repeat.
            form = forms.get(find_column(structure, reference), field.form_name)
            return (in_row if form in row_forms else in_event).read_value(reference)

        return replace(in_row, read_value=read_value)

    results: list[tuple[RowKey, dict[str, str]]] = []
    for _, row_key in store.find_rows(project, records, ()):
        if field.form_name in list_row_forms(structure, row_key.event, row_key.instrument):
            result = evaluate_calculated_field(logic, read_row_facts(row_key))
            results.append((row_key, {field.field_name: "" if result is UNKNOWN else result}))
    store.save_values(project, results)
