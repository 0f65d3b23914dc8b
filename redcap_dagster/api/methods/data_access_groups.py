"""The data access groups of a project, and the group of each user."""

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
    """The data access groups of a project. Needs the right to data access groups.

    Example:
        >>> south = {"data_access_group_name": "South", "unique_group_name": ""}
        >>> redcap.groups.import_([south])
        1
        >>> [group["unique_group_name"] for group in redcap.groups.export()]
        ['north', 'south']
    """

    _transport: Transport

    def export(self) -> list[dict[str, Any]]:
        """Return one row per group: ``data_access_group_name`` and ``unique_group_name``.

        Newer servers also return the number of the group.

        Raises:
            REDCapError: The request failed. The type says why. So does every method.

        Example:
            >>> [group["unique_group_name"] for group in redcap.groups.export()]
            ['north']
        """
        return export_rows(
            self._transport, "access group export", call_parameters("dag"), "unique_group_name"
        )

    def import_(self, data: Importable) -> int:
        """Add or rename groups, and return how many. The request is sent once.

        Args:
            data: Rows with ``data_access_group_name`` and ``unique_group_name``. A blank
                ``unique_group_name`` adds a group.

        Raises:
            TypeError: The data have another type. Nothing was sent.
            ValueError: The data have no row, or lack a column. Nothing was sent.
            OutcomeUnknownError: The response was lost.

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
        """Delete groups, and return how many. The request is sent once.

        Args:
            dags: The unique names of the groups.

        Raises:
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> south = {"data_access_group_name": "South", "unique_group_name": ""}
            >>> done = redcap.groups.import_([south])
            >>> redcap.groups.delete(["south"])
            1
        """
        return delete_listed(self._transport, "dag", "dags", dags)

    def switch(self, dag: str | None) -> None:
        """Move the token's user to another group that is open to them (REDCap 11.3.1).

        The request is sent once.

        Args:
            dag: The unique name of the group. None to leave all groups.

        Raises:
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

        Example:
            >>> redcap.groups.switch("north")
            >>> redcap.export_records(fields=["age"])["record_id"].tolist()
            ['1']
        """
        parameters = call_parameters("dag", "switch", dag=dag or "")
        self._transport.post_once("access group switch", parameters, read_count)

    def export_mapping(self) -> list[dict[str, Any]]:
        """Return one row per user: ``username`` and ``redcap_data_access_group``.

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
        """Assign groups to users, and return how many. The request is sent once.

        Args:
            data: Rows with ``username`` and ``redcap_data_access_group``. A blank group removes the
                user from all groups.

        Raises:
            TypeError: The data have another type. Nothing was sent.
            ValueError: The data have no row, or lack a column. Nothing was sent.
            OutcomeUnknownError: The response was lost.
            REDCapError: REDCap did not make the change. The type says why.

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
