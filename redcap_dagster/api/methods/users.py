"""The users of a project and their rights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redcap_dagster.api.calls.import_data import Importable
from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import delete_listed, export_content, import_rows
from redcap_dagster.api.http.transport import Transport


@dataclass(frozen=True, slots=True)
class Users:
    """The users of a project and their rights. Needs the right to manage users.

    Rows are dicts, in which ``forms`` and ``forms_export`` are dicts of instrument and level. The
    columns depend on the server's version.

    Example:
        >>> redcap.users.import_([{"username": "ann", "forms": {"visit": 1}}])
        1
        >>> redcap.users.delete(["ann"])
        1
    """

    _transport: Transport

    def export(self) -> list[dict[str, Any]]:
        """Return one row per user, with the user's rights.

        Raises:
            REDCapError: The request failed. The type says why. So does every method.

        Example:
            >>> done = redcap.users.import_([{"username": "ann"}])
            >>> "ann" in [user["username"] for user in redcap.users.export()]
            True
        """
        return export_content(self._transport, "user", "username")

    def import_(self, data: Importable) -> int:
        """Add users or change their rights, and return how many. The request is sent once.

        Args:
            data: Rows with ``username`` and rights. Rights that are left out stay as they are.

        Raises:
            TypeError: The data have another type. Nothing was sent.
            ValueError: The data have no row, or lack a column. Nothing was sent.
            OutcomeUnknownError: The response was lost.

        Example:
            >>> redcap.users.import_([{"username": "ann", "forms": {"visit": 1, "drug": 0}}])
            1
        """
        parameters = call_parameters("user", "import")
        return import_rows(self._transport, "user import", parameters, data, ["username"])

    def delete(self, users: Sequence[str]) -> int:
        """Remove users from the project, and return how many (REDCap 11.3).

        The request is sent once.

        Args:
            users: The user names.

        Raises:
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> done = redcap.users.import_([{"username": "ann"}])
            >>> redcap.users.delete(["ann"])
            1
        """
        return delete_listed(self._transport, "user", "users", users)
