"""How every import that changes a project's structure is handled, read and refused.

What the imports return and which right they need is known. The messages of refusals are guesses,
and so is that the data of a deleted event is deleted.
"""

from collections.abc import Callable

from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox.calls.call import Call, Handler, Response, respond_with_count
from redcap_dagster.sandbox.calls.log import log_management
from redcap_dagster.sandbox.calls.required_rights import require_import_right
from redcap_dagster.sandbox.protocol.import_data import Row, read_rows
from redcap_dagster.sandbox.protocol.parameters import RequestError


def make_change_handler(
    change: Callable[[Call], tuple[REDCapProject, int]], details: str
) -> Handler:
    """Return the handler of a change.

    Args:
        change: Returns the changed project and the count to respond with.
        details: Text of the log's entry.
    """

    def handle(call: Call) -> Response:
        require_import_right(call, "design")
        structure, count = change(call)
        call.store.replace_structure(call.project.id, structure)
        _delete_rows_of_removed_events(call, structure)
        log_management(call, details)
        return respond_with_count(call, count)

    return handle


def _delete_rows_of_removed_events(call: Call, structure: REDCapProject) -> None:
    remaining = {event.unique_event_name for event in structure.events}
    removed = [
        (call.project.id, event.unique_event_name)
        for event in call.project.structure.events
        if event.unique_event_name not in remaining
    ]
    with call.store.connection as database:
        database.executemany("delete from row where project = ? and event = ?", removed)


def read_structure_rows(call: Call, columns: set[str]) -> list[Row]:
    """Return the rows of an import.

    Raises:
        RequestError: The data cannot be read, or has another column.
    """
    rows = read_rows(call.parameters.get_text("data"), call.format)
    if unknown := sorted({name for row in rows for name in row} - columns):
        raise RequestError(400, f"These columns are not known: {', '.join(unknown)}")
    return rows


def require_development(call: Call, what: str) -> None:
    """Refuse a change that REDCap only allows in development.

    Raises:
        RequestError: The project is in production.
    """
    if call.project.structure.info.in_production:
        raise RequestError(400, f"You cannot do this with {what} of a project in production")
