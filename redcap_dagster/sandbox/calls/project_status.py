"""The status of a project, from development to completed, and what each status refuses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal, get_args

from redcap_dagster.sandbox.calls.call import Call
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.store.store import Store, StoredProject

ProjectStatus = Literal["development", "production", "draft", "analysis", "completed"]

_TABLE: Final = """
create table if not exists status (
    project integer primary key references project on delete cascade, name text not null
)
"""
# That a project was deleted is known to be 400; the texts and all else are guesses.
_REFUSALS: Final[Mapping[str, str]] = {
    "analysis": "The project is in Analysis/Cleanup status, so that its data cannot be changed.",
    "completed": "The project was marked as Completed, so that nobody has access to it.",
}


def set_project_status(store: Store, project: StoredProject, status: ProjectStatus) -> None:
    """Change the status of a project; see `Sandbox.set_status`."""
    if status not in get_args(ProjectStatus):
        raise ValueError(f"A status is one of {', '.join(get_args(ProjectStatus))}.")
    info = replace(
        project.structure.info,
        in_production=int(status != "development"),
        production_time="" if status == "development" else f"{store.now():%Y-%m-%d %H:%M:%S}",
    )
    with store.lock:
        store.replace_structure(project.id, replace(project.structure, info=info))
        with store.connection as database:
            database.execute(_TABLE)
            database.execute("insert or replace into status values (?, ?)", (project.id, status))


def refuse_by_status(call: Call, action: str) -> None:
    """Refuse a request that the project's status does not allow.

    Args:
        call: Call.
        action: Action, such as ``export``.

    Raises:
        RequestError: The project is completed, or its data cannot be changed.
    """
    call.store.connection.execute(_TABLE)
    found = call.store.connection.execute(
        "select name from status where project = ?", (call.project.id,)
    ).fetchone()
    status = found[0] if found else "development"
    if status == "completed" or (status == "analysis" and action not in ("export", "list")):
        raise RequestError(400, _REFUSALS[status])
