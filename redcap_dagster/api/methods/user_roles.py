"""User roles of a project, and which user has which."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redcap_dagster.api.calls.import_data import Importable
from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import delete_listed, export_rows, import_rows
from redcap_dagster.api.http.transport import Transport


@dataclass(frozen=True, slots=True)
class UserRoles:
    """The user roles of a project, and which user has which; needs the right to manage users.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     client.roles.import_([{"unique_role_name": "", "role_label": "Nurse"}])
        ...     [role["role_label"] for role in client.roles.export()]
        1
        ['Nurse']
    """

    _transport: Transport

    def export(self) -> list[dict[str, Any]]:
        """Export roles and their rights; every value may be a text.

        Raises:
            REDCapError: Of the type that says what is wrong; so does every method.

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
        """Change roles, or add those whose ``unique_role_name`` is blank; once.

        Args:
            data: With ``unique_role_name``; ``role_label`` and rights.

        Returns:
            How many roles were added or changed.

        Raises:
            TypeError: The data are of another type; nothing was sent.
            ValueError: They have no row, or lack a column; nothing was sent.
            OutcomeUnknownError: The answer was lost.

        Example:
            >>> redcap.roles.import_([{"unique_role_name": "", "role_label": "Nurse"}])
            1
        """
        wanted = call_parameters("userRole", "import")
        return import_rows(self._transport, "user role import", wanted, data, ["unique_role_name"])

    def delete(self, roles: Sequence[str]) -> int:
        """Delete roles by their unique names, once; gives how many.

        Example:
            >>> done = redcap.roles.import_([{"unique_role_name": "", "role_label": "Nurse"}])
            >>> [role] = redcap.roles.export()
            >>> redcap.roles.delete([role["unique_role_name"]])
            1
        """
        return delete_listed(self._transport, "userRole", "roles", roles)

    def export_mapping(self) -> list[dict[str, Any]]:
        """Export the role of each user: ``username``, ``unique_role_name`` (REDCap 13.0).

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
        """Give users their roles, once; a blank role takes it from them. Gives how many.

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
