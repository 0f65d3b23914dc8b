"""Users of a project and their rights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redcap_dagster.api.calls.import_data import Importable
from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import delete_listed, export_rows, import_rows
from redcap_dagster.api.http.transport import Transport


@dataclass(frozen=True, slots=True)
class Users:
    """The users of a project and their rights; needs the right to manage users.

    Data come as lists of dicts, with ``forms`` and ``forms_export`` as dicts of form and level.
    Which columns there are depends on the server's version.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     client.users.import_([{"username": "ann", "forms": {"visit": 1}}])
        ...     client.users.delete(["ann"])
        1
        1
    """

    _transport: Transport

    def export(self) -> list[dict[str, Any]]:
        """Export users and their rights.

        Raises:
            REDCapError: Of the type that says what is wrong; so does every method.

        Example:
            >>> done = redcap.users.import_([{"username": "ann"}])
            >>> "ann" in [user["username"] for user in redcap.users.export()]
            True
        """
        return export_rows(self._transport, "user export", call_parameters("user"), "username")

    def import_(self, data: Importable) -> int:
        """Add users, or change the rights of those that are there; once.

        Args:
            data: With ``username``; a right that is left out stays as it is.

        Returns:
            How many users were added or changed.

        Raises:
            TypeError: The data are of another type; nothing was sent.
            ValueError: They have no row, or lack a column; nothing was sent.
            OutcomeUnknownError: The answer was lost.

        Example:
            >>> redcap.users.import_([{"username": "ann", "forms": {"visit": 1, "drug": 0}}])
            1
        """
        wanted = call_parameters("user", "import")
        return import_rows(self._transport, "user import", wanted, data, ["username"])

    def delete(self, users: Sequence[str]) -> int:
        """Take users off the project (REDCap 11.3), once; gives how many.

        Example:
            >>> done = redcap.users.import_([{"username": "ann"}])
            >>> redcap.users.delete(["ann"])
            1
        """
        return delete_listed(self._transport, "user", "users", users)
