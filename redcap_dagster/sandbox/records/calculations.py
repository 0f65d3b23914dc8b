"""Calculated fields: worked out anew by the server when the data of a record comes in."""

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
    """Work out the calculated fields of some records, one after the other as the dictionary is.

    A field whose calculation is not known here keeps what it has.
    """
    for field in project.structure.fields:
        if field.field_type != "calc":
            continue
        try:
            logic = parse_logic(field.select_choices_or_calculations)
            meanings = {
                parts: resolve_reference(project.structure, parts)
                for parts in list_references(logic)
            }
            _recalculate(store, project, records, field, logic, meanings)
        except LogicError:
            continue


def _recalculate(
    store: Store,
    project: StoredProject,
    records: Sequence[str],
    field: Field,
    logic: Node,
    meanings: Mapping[Parts, ResolvedReference],
) -> None:
    structure, now = project.structure, store.now()
    read_value = make_value_reader(store, project, records, meanings.values())
    columns = index_columns(structure)
    forms = {
        parts: columns[meaning.column].field.form_name
        for parts, meaning in meanings.items()
        if meaning.column in columns
    }
    codes = frozenset(choice.code for choice in structure.missing_data_codes)
    results: list[tuple[RowKey, dict[str, str]]] = []
    for _, row_key in store.find_rows(project, records, ()):
        here = list_row_forms(structure, row_key.event, row_key.instrument)
        if field.form_name not in here:
            continue

        def value(parts: Parts, row_key: RowKey = row_key, here: Container[str] = here) -> str:
            # In its own row, else in the event's row that does not repeat.
            own = forms.get(parts, field.form_name) in here
            where = row_key if own else RowKey(row_key.record, row_key.event)
            return read_value(meanings[parts], where)

        results.append(
            (row_key, {field.field_name: evaluate_calculation(logic, Facts(value, codes, now))})
        )
    store.save_values(project, results)
