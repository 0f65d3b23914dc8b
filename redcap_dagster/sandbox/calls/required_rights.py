"""What the rights of a user to the administrative side of a project are called when they lack."""

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
    """Refuse an export for want of a right. The text is known for access groups.

    Raises:
        RequestError: The right is not there.
    """
    _require(call, right, call.project.rights.api_export, "API Export")


def require_import_right(call: Call, right: str) -> None:
    """Refuse an import or a deletion for want of a right, in the same words (guess).

    Raises:
        RequestError: The right is not there.
    """
    _require(call, right, call.project.rights.api_import, "API Import/Update")


def _require(call: Call, right: str, api: int, api_name: str) -> None:
    require(
        min(api, getattr(call.project.rights, right)),
        400,
        f"Insufficient user privileges: You must have '{api_name}' privileges and "
        f"'{_NAMES[right]}' privileges in the project.",
    )
