"""The log of a project: actions, their users and times."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redcap_dagster.api.calls.parameters import call_parameters, check_one_of, write_server_time
from redcap_dagster.api.calls.rows import export_rows
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.snippets.record_methods import LOG_TYPES


@dataclass(frozen=True, slots=True)
class Log:
    """The log of a project (REDCap 10.8). Needs the right to the log.

    Example:
        >>> done = redcap.records.delete(["2"])
        >>> redcap.log.export(logtype="record_delete")[0]["record"]
        '2'
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
        """Return one row per log entry, newest first. Export a long log in several periods.

        Args:
            logtype: Type of entries, one of `LOG_TYPES`. Defaults to all types.
            user: User name. Defaults to all users.
            record: Record id. Defaults to all records.
            dag: Unique name of a data access group. Defaults to all groups.
            begin_time: Earliest time, in the server's time zone, without seconds. Defaults to no
                limit.
            end_time: Latest time, in the same way. Defaults to no limit.

        Returns:
            Rows with ``timestamp``, ``username``, ``action``, ``details`` and ``record``.

        Raises:
            TypeError: A time is not a datetime. Nothing was sent.
            ValueError: REDCap does not have the type, or a time has a time zone. Nothing was sent.
            REDCapError: The request failed. The type says why.

        Example:
            >>> done = redcap.records.delete(["2"])
            >>> [row["record"] for row in redcap.log.export(logtype="record_delete")]
            ['2']
        """
        parameters = call_parameters(
            "log",
            logtype=None if logtype is None else check_one_of("logtype", logtype, LOG_TYPES),
            user=user,
            record=record,
            dag=dag,
            beginTime=None if begin_time is None else _write_minute("begin_time", begin_time),
            endTime=None if end_time is None else _write_minute("end_time", end_time),
        )
        return export_rows(self._transport, "log export", parameters, "timestamp")


def _write_minute(name: str, value: datetime) -> str:
    return write_server_time(name, value)[:16]
