"""Calculated fields, which the server recalculates when data of a record is imported."""

from collections.abc import Container, Mapping, Sequence

from redcap_dagster.project import Field
from redcap_dagster.sandbox.logic import (
    Facts,
    LogicError,
    Node,
    evaluate_calculation,
    list_references,
    parse_logic,
)
from redcap_dagster.sandbox.logic.tree import Parts
from redcap_dagster.sandbox.records.logic_references import (
    ResolvedReference,
    make_value_reader,
    resolve_reference,
)
from redcap_dagster.sandbox.store.columns import index_columns
from redcap_dagster.sandbox.store.row_keys import RowKey, list_row_forms
from redcap_dagster.sandbox.store.store import Store, StoredProject


def recalculate(store: Store, project: StoredProject, records: Sequence[str]) -> None:
    """Recalculate the calculated fields of some records, in the order of the dictionary.

    A field keeps its value if the sandbox does not know a function of its calculation.
    """
    for field in project.structure.fields:
        if field.field_type != "calc":
            continue
        try:
            logic = parse_logic(field.select_choices_or_calculations)
            references = {
                parts: resolve_reference(project.structure, parts)
                for parts in list_references(logic)
            }
            _recalculate(store, project, records, field, logic, references)
        except LogicError:
            continue


def _recalculate(
    store: Store,
    project: StoredProject,
    records: Sequence[str],
    field: Field,
    logic: Node,
    references: Mapping[Parts, ResolvedReference],
) -> None:
    structure, now = project.structure, store.now()
    read_value = make_value_reader(store, project, records, references.values())
    columns = index_columns(structure)
    forms = {
        parts: columns[reference.column].field.form_name
        for parts, reference in references.items()
        if reference.column in columns
    }
    codes = frozenset(choice.code for choice in structure.missing_data_codes)
    results: list[tuple[RowKey, dict[str, str]]] = []
    for _, row_key in store.find_rows(project, records, ()):
        row_forms = list_row_forms(structure, row_key.event, row_key.instrument)
        if field.form_name not in row_forms:
            continue

        def read(
            parts: Parts, row_key: RowKey = row_key, row_forms: Container[str] = row_forms
        ) -> str:
            # In the row itself, else in the event's row that does not repeat.
            in_row = forms.get(parts, field.form_name) in row_forms
            value_row = row_key if in_row else RowKey(row_key.record, row_key.event)
            return read_value(references[parts], value_row)

        results.append(
            (row_key, {field.field_name: evaluate_calculation(logic, Facts(read, codes, now))})
        )
    store.save_values(project, results)
