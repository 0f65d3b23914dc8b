"""Calculated fields: worked out anew by the server when the data of a record comes in."""

from collections.abc import Container, Mapping, Sequence

from redcap_dagster.project import Field
from redcap_dagster.sandbox.logic import Facts, LogicError, Node, parse_logic, references_of, result
from redcap_dagster.sandbox.logic.tree import Parts
from redcap_dagster.sandbox.records.logic_references import Meaning, meaning_of, reader
from redcap_dagster.sandbox.store.loading import columns_of
from redcap_dagster.sandbox.store.store import Place, Store, StoredProject, forms_at


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
                parts: meaning_of(project.structure, parts) for parts in references_of(logic)
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
    meanings: Mapping[Parts, Meaning],
) -> None:
    structure, now = project.structure, store.now()
    value_at = reader(store, project, records, meanings.values())
    columns = columns_of(structure)
    forms = {
        parts: columns[meaning.column].field.form_name
        for parts, meaning in meanings.items()
        if meaning.column in columns
    }
    codes = frozenset(choice.code for choice in structure.missing_data_codes)
    results: list[tuple[Place, dict[str, str]]] = []
    for _, place in store.rows(project, records, ()):
        here = forms_at(structure, place.event, place.instrument)
        if field.form_name not in here:
            continue

        def value(parts: Parts, place: Place = place, here: Container[str] = here) -> str:
            # In its own row, else in the event's row that does not repeat.
            own = forms.get(parts, field.form_name) in here
            where = place if own else Place(place.record, place.event)
            return value_at(meanings[parts], where)

        results.append((place, {field.field_name: result(logic, Facts(value, codes, now))}))
    store.save(project, results)
