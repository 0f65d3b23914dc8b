"""Refusals of calls whose user lacks a right to administer the project."""

from typing import Final

from redcap_dagster.sandbox.calls.call import Call
from redcap_dagster.sandbox.store.rights import require

_NAMES: Final = {
    "data_access_groups": "Data Access Groups",
    "design": "Project Design and Setup",
    "file_repository": "File Repository",
    "manage_survey_participants": "Manage Survey Participants",
    "user_rights": "User Rights",
}


def require_export_right(call: Call, right: str) -> None:
    """Refuse an export if the user lacks a right. The text is known for access groups.

    Raises:
        RequestError: The user does not have the right.
    """
    _require_rights(call, right, call.project.rights.api_export, "API Export")


def require_import_right(call: Call, right: str) -> None:
    """Refuse an import or a deletion if the user lacks a right, in the same words (guess).

    Raises:
        RequestError: The user does not have the right.
    """
    _require_rights(call, right, call.project.rights.api_import, "API Import/Update")


def _require_rights(call: Call, right: str, api: int, api_name: str) -> None:
    require(
        min(api, getattr(call.project.rights, right)),
        call.store.dialect.missing_right,
        f"Insufficient user privileges: You must have '{api_name}' privileges and "
        f"'{_NAMES[right]}' privileges in the project.",
    )
