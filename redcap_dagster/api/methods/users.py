"""The users of a project and their rights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import pandas as pd

from redcap_dagster.api.calls.import_data import Importable, read_rows, write_import_data
from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import delete_listed, export_content, import_rows
from redcap_dagster.api.http.transport import Transport

_GROUP: Final = "data_access_group"


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
        """Add users or change their rights, and return how many. The import is sent once.

        REDCap removes users from their access group where ``data_access_group`` is left out, and
        they then see all records. So users without it are exported first, and keep their group.

        Args:
            data: Rows with ``username`` and rights. Rights that are left out stay as they are. A
                blank ``data_access_group`` removes a user from the group.

        Raises:
            TypeError: The data have another type. Nothing was sent.
            ValueError: The data have no row, or lack a column. Nothing was sent.
            OutcomeUnknownError: The response was lost.

        Example:
            >>> redcap.users.import_([{"username": "ann", "forms": {"visit": 1, "drug": 0}}])
            1
        """
        parameters = call_parameters("user", "import")
        write_import_data(data, ["username"])  # raises before anything is sent
        data = _keep_groups(self._transport, data)
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


def _keep_groups(transport: Transport, data: Importable) -> Importable:
    """Return users with their access groups, where their rows do not say them."""
    is_table = isinstance(data, str | pd.DataFrame) or hasattr(data, "__arrow_c_stream__")
    rows = read_rows(data).rows if is_table else cast("Sequence[Mapping[str, Any]]", data)
    if all(_GROUP in row for row in rows):
        return data
    users = export_content(transport, "user", "username")
    groups = {_fold(user["username"]): user.get(_GROUP) or "" for user in users}
    kept = [{_GROUP: groups.get(_fold(row["username"]), ""), **row} for row in rows]
    if not any(row[_GROUP] for row in kept):
        return data
    return pd.DataFrame(kept, dtype=object) if is_table else kept


def _fold(username: Any) -> str:
    """Return a user name without capitals, which make no difference to REDCap."""
    return str(username).strip().lower()
