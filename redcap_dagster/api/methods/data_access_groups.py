"""Data access groups, and which user is in which."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redcap_dagster.api.calls.import_data import Importable
from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import delete_listed, export_rows, import_rows, read_count
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project.system_columns import ACCESS_GROUP


@dataclass(frozen=True, slots=True)
class AccessGroups:
    """The data access groups of a project; needs the right to them.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     new = {"data_access_group_name": "South", "unique_group_name": ""}
        ...     client.groups.import_([new])
        ...     [group["unique_group_name"] for group in client.groups.export()]
        1
        ['south']
    """

    _transport: Transport

    def export(self) -> list[dict[str, Any]]:
        """Export groups: ``data_access_group_name``, ``unique_group_name``, and newer its number.

        Raises:
            REDCapError: Of the type that says what is wrong; so does every method.

        Example:
            >>> [group["unique_group_name"] for group in redcap.groups.export()]
            ['north']
        """
        return export_rows(
            self._transport, "access group export", call_parameters("dag"), "unique_group_name"
        )

    def import_(self, data: Importable) -> int:
        """Rename groups, or add those whose ``unique_group_name`` is blank; once.

        Args:
            data: With ``data_access_group_name`` and ``unique_group_name``.

        Returns:
            How many groups were added or renamed.

        Raises:
            TypeError: The data are of another type; nothing was sent.
            ValueError: They have no row, or lack a column; nothing was sent.
            OutcomeUnknownError: The answer was lost.

        Example:
            >>> south = {"data_access_group_name": "South", "unique_group_name": ""}
            >>> redcap.groups.import_([south])
            1
        """
        return import_rows(
            self._transport,
            "access group import",
            call_parameters("dag", "import"),
            data,
            ["data_access_group_name", "unique_group_name"],
        )

    def delete(self, dags: Sequence[str]) -> int:
        """Delete groups by their unique names, once; gives how many.

        Example:
            >>> south = {"data_access_group_name": "South", "unique_group_name": ""}
            >>> done = redcap.groups.import_([south])
            >>> redcap.groups.delete(["south"])
            1
        """
        return delete_listed(self._transport, "dag", "dags", dags)

    def switch(self, dag: str | None) -> None:
        """Put the token's user in another group that is open to them (REDCap 11.3.1), once.

        Args:
            dag: The unique name of the group; None leaves all groups.

        Example:
            >>> redcap.groups.switch("north")
            >>> redcap.export_records(fields=["age"])["record_id"].tolist()
            ['1']
        """
        wanted = call_parameters("dag", "switch", dag=dag or "")
        self._transport.post_once("access group switch", wanted, read_count)

    def export_mapping(self) -> list[dict[str, Any]]:
        """Export the group of each user: ``username``, ``redcap_data_access_group``.

        Example:
            >>> [row["redcap_data_access_group"] for row in redcap.groups.export_mapping()]
            ['']
        """
        return export_rows(
            self._transport,
            "access group mapping export",
            call_parameters("userDagMapping"),
            "username",
        )

    def import_mapping(self, data: Importable) -> int:
        """Put users in groups, once; a blank group takes them out. Gives how many.

        Example:
            >>> done = redcap.users.import_([{"username": "ann"}])
            >>> ann = {"username": "ann", "redcap_data_access_group": "north"}
            >>> redcap.groups.import_mapping([ann])
            1
        """
        return import_rows(
            self._transport,
            "access group mapping import",
            call_parameters("userDagMapping", "import"),
            data,
            ["username", ACCESS_GROUP],
        )
