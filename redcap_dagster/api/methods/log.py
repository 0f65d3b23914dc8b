"""The log of a project: who did what, and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from redcap_dagster.api.calls.parameters import call_parameters, check_one_of, write_server_time
from redcap_dagster.api.calls.rows import export_rows
from redcap_dagster.api.http.transport import Transport

LOG_TYPES: Final = (
    "export",
    "manage",
    "user",
    "record",
    "record_add",
    "record_edit",
    "record_delete",
    "lock_record",
    "page_view",
)


@dataclass(frozen=True, slots=True)
class Log:
    """What was done in a project (REDCap 10.8); needs the right to the log.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     done = client.records.import_([{"record_id": 1}])
        ...     [row["record"] for row in client.log.export(logtype="record_add")]
        ['1']
    """

    _transport: Transport

    def export(
        self,
        *,
        logtype: str | None = None,
        user: str | None = None,
        record: str | int | None = None,
        dag: str | None = None,
        begin_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """Export the log, newest first. A long one is best asked for piece by piece.

        Args:
            logtype: One of `LOG_TYPES`; None for all.
            user: Only what this user did.
            record: Only what was done to this record.
            dag: Only what was done in this access group.
            begin_time: From then on, in the server's time zone and without seconds.
            end_time: Until then, likewise.

        Returns:
            ``timestamp``, ``username``, ``action``, ``details``, ``record`` of each entry.

        Raises:
            TypeError: A time that is no datetime; nothing was sent.
            ValueError: A type that REDCap does not have, or a time with a time zone; nothing was
                sent.
            REDCapError: Of the type that says what is wrong.

        Example:
            >>> done = redcap.records.delete(["2"])
            >>> [row["record"] for row in redcap.log.export(logtype="record_delete")]
            ['2']
        """
        wanted = call_parameters(
            "log",
            logtype=None if logtype is None else check_one_of("logtype", logtype, LOG_TYPES),
            user=user,
            record=record,
            dag=dag,
            beginTime=None if begin_time is None else _minute("begin_time", begin_time),
            endTime=None if end_time is None else _minute("end_time", end_time),
        )
        return export_rows(self._transport, "log export", wanted, "timestamp")


def _minute(name: str, value: datetime) -> str:
    return write_server_time(name, value)[:16]
