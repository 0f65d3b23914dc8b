"""Which function handles each content and action, and the checks that every request passes."""

from collections.abc import Mapping
from typing import Final

from redcap_dagster.sandbox.calls import log
from redcap_dagster.sandbox.calls.call import Call, Handler, Response, Upload
from redcap_dagster.sandbox.calls.project_status import refuse_by_status
from redcap_dagster.sandbox.design import (
    dictionary_import,
    event_imports,
    project_creation,
    project_settings,
    structure_exports,
)
from redcap_dagster.sandbox.documents import file_repository, pdf
from redcap_dagster.sandbox.people import data_access_groups, roles, users
from redcap_dagster.sandbox.protocol.parameters import Parameters, RequestError
from redcap_dagster.sandbox.records import (
    deletion,
    export,
    files,
    project_xml,
    randomization,
    record_import,
    record_names,
    reports,
    surveys,
)
from redcap_dagster.sandbox.store.rights import Rights, require
from redcap_dagster.sandbox.store.store import Store

HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    **structure_exports.HANDLERS,
    **export.HANDLERS,
    **record_import.HANDLERS,
    **deletion.HANDLERS,
    **randomization.HANDLERS,
    **record_names.HANDLERS,
    **log.HANDLERS,
    **project_settings.HANDLERS,
    **files.HANDLERS,
    **data_access_groups.HANDLERS,
    **pdf.HANDLERS,
    **project_xml.HANDLERS,
    **reports.HANDLERS,
    **file_repository.HANDLERS,
    **roles.HANDLERS,
    **dictionary_import.HANDLERS,
    **event_imports.HANDLERS,
    **surveys.HANDLERS,
    **users.HANDLERS,
}
"""The function that handles each content and action of a project's token."""

CONTENTS: Final = frozenset(content for content, _ in HANDLERS)
_LISTS: Final = ("records", "fields", "forms", "events")
_ACTIONS: Final = frozenset(action for _, action in HANDLERS) | {"import"}


def handle_request(store: Store, parameters: Parameters, files: Mapping[str, Upload]) -> Response:
    """Return REDCap's response to a request.

    Raises:
        RequestError: REDCap refuses the request.
    """
    if not (parameters.names or files):
        raise RequestError(501, "The requested method is not implemented.")
    token, content = parameters.get_text("token"), parameters.get_text("content")
    key = (content, read_action(parameters))
    with store.lock:
        if token == store.super_token and key in project_creation.CREATION_HANDLERS:
            return project_creation.CREATION_HANDLERS[key](store, parameters)
        project = store.find_project(token)
        if project is None:
            raise RequestError(
                store.dialect.unknown_token, "You do not have permissions to use the API"
            )
        if content not in CONTENTS:
            raise RequestError(400, 'The value of the parameter "content" is not valid')
        if key not in HANDLERS:
            # Guess.
            raise RequestError(400, 'The value of the parameter "action" is not valid')
        refuse_expired_rights(store, project.rights)
        _require_api_rights(project.rights, key[1])
        if not store.dialect.comma_lists:
            _refuse_comma_lists(parameters)
        call = Call(store, project, parameters, files)
        refuse_by_status(call, key[1])
        return HANDLERS[key](call)


def _refuse_comma_lists(parameters: Parameters) -> None:
    for name in _LISTS:
        if parameters.get_text(name):
            raise RequestError(
                400,
                f'The "{name}" parameter has been provided with a value, but the value is not an '
                f'array. The "{name}" parameter must be provided as an array of one or more '
                "values.",
            )


def read_action(parameters: Parameters) -> str:
    """Return the action of a request; data without an action is an import.

    Returns:
        The action, or a blank if this sandbox does not know it.
    """
    default = "import" if "data" in parameters.names else "export"
    action = parameters.get_text("action", default)
    return action if action in _ACTIONS else ""


def refuse_expired_rights(store: Store, rights: Rights) -> None:
    """Refuse all requests of a user whose access has ended; day, status and text are guesses.

    Raises:
        RequestError: The day of the user's expiration has come.
    """
    if rights.expiration and rights.expiration <= f"{store.now():%Y-%m-%d}":
        raise RequestError(403, "Your user privileges in this project have expired")


def _require_api_rights(rights: Rights, action: str) -> None:
    """Refuse an action if the user does not have the right to export or import by the API."""
    refused = "You do not have permissions to use the API"
    require(rights.api_export or rights.api_import, 403, refused)
    if action in ("export", "list"):
        # Guess, by the text for imports.
        require(rights.api_export, 403, "You do not have API Export privileges")
    elif action in ("import", "createFolder"):
        require(rights.api_import, 403, "You do not have API Import/Update privileges")
