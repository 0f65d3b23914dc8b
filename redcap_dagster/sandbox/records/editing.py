"""Edits of single values and deletions of records, as on REDCap's pages and not by the API."""

from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.sandbox.calls.log import write_record_log
from redcap_dagster.sandbox.store.columns import index_columns, to_stored_value
from redcap_dagster.sandbox.store.row_keys import RowKey, check_row_key, list_row_forms
from redcap_dagster.sandbox.store.store import Store, StoredProject


def edit_value(
    store: Store, project: StoredProject, row_key: RowKey, field: str, value: str
) -> None:
    """Store one value, or clear it with a blank one; see `Sandbox.edit`."""
    structure = project.structure
    check_row_key(structure, row_key)
    column = index_columns(structure).get(field)
    if column is not None:
        forms = list_row_forms(structure, row_key.event, row_key.instrument)
        if column.field.form_name not in forms:
            raise ValueError(
                f"The instrument of {field} has no values in this event and repeating instrument."
            )
        value = to_stored_value(column, value)
    elif field != ACCESS_GROUP:
        raise ValueError(f"The project does not have an export column {field!r}.")
    with store.lock:
        new = not store.has_record(project, row_key.record)
        store.save_values(project, [(row_key, {field: value})])
        write_record_log(
            store, project, "Create" if new else "Update", row_key.record, {field: value}
        )


def delete_record(store: Store, project: StoredProject, record: str) -> None:
    """Delete a record in all arms; see `Sandbox.delete_record`."""
    if not store.delete_record(project, record):
        raise KeyError("The project does not have this record.")
    write_record_log(store, project, "Delete", record)
