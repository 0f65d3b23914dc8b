"""The user roles of a project, and the role of each user."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redcap_dagster.api.calls.import_data import Importable
from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import delete_listed, export_rows, import_rows
from redcap_dagster.api.http.transport import Transport


@dataclass(frozen=True, slots=True)
class UserRoles:
    """The user roles of a project, and the role of each user. Needs the right to manage users.

    Example:
        >>> redcap.roles.import_([{"unique_role_name": "", "role_label": "Nurse"}])
        1
        >>> [role["role_label"] for role in redcap.roles.export()]
        ['Nurse']
    """

    _transport: Transport

    def export(self) -> list[dict[str, Any]]:
        """Return one row per role, with its rights. Every value may be a text.

        Raises:
            REDCapError: The request failed. The type says why. So does every method.

        Example:
            >>> done = redcap.roles.import_([{"unique_role_name": "", "role_label": "Nurse"}])
            >>> [role] = redcap.roles.export()
            >>> role["role_label"]
            'Nurse'
        """
        return export_rows(
            self._transport, "user role export", call_parameters("userRole"), "unique_role_name"
        )

    def import_(self, data: Importable) -> int:
        """Add or change roles, and return how many. The request is sent once.

        Args:
            data: Rows with ``unique_role_name``, ``role_label`` and rights. A blank
                ``unique_role_name`` adds a role.

        Raises:
            TypeError: The data have another type. Nothing was sent.
            ValueError: The data have no row, or lack a column. Nothing was sent.
            OutcomeUnknownError: The response was lost.

        Example:
            >>> redcap.roles.import_([{"unique_role_name": "", "role_label": "Nurse"}])
            1
        """
        parameters = call_parameters("userRole", "import")
        return import_rows(
            self._transport, "user role import", parameters, data, ["unique_role_name"]
        )

    def delete(self, roles: Sequence[str]) -> int:
        """Delete roles, and return how many. The request is sent once.

        Args:
            roles: The unique names of the roles.

        Raises:
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> done = redcap.roles.import_([{"unique_role_name": "", "role_label": "Nurse"}])
            >>> [role] = redcap.roles.export()
            >>> redcap.roles.delete([role["unique_role_name"]])
            1
        """
        return delete_listed(self._transport, "userRole", "roles", roles)

    def export_mapping(self) -> list[dict[str, Any]]:
        """Return one row per user: ``username`` and ``unique_role_name`` (REDCap 13.0).

        Example:
            >>> done = redcap.users.import_([{"username": "ann"}])
            >>> "ann" in [row["username"] for row in redcap.roles.export_mapping()]
            True
        """
        return export_rows(
            self._transport,
            "user role mapping export",
            call_parameters("userRoleMapping"),
            "username",
        )

    def import_mapping(self, data: Importable) -> int:
        """Assign roles to users, and return how many. The request is sent once.

        Args:
            data: Rows with ``username`` and ``unique_role_name``. A blank role removes the user's
                role.

        Raises:
            TypeError: The data have another type. Nothing was sent.
            ValueError: The data have no row, or lack a column. Nothing was sent.
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> done = redcap.roles.import_([{"unique_role_name": "", "role_label": "Nurse"}])
            >>> [role] = redcap.roles.export()
            >>> done = redcap.users.import_([{"username": "ann"}])
            >>> ann = {"username": "ann", "unique_role_name": role["unique_role_name"]}
            >>> redcap.roles.import_mapping([ann])
            1
        """
        return import_rows(
            self._transport,
            "user role mapping import",
            call_parameters("userRoleMapping", "import"),
            data,
            ["username", "unique_role_name"],
        )
