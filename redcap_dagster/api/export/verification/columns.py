"""The columns of an export, compared with its request, the dictionary and the user's rights.

REDCap leaves out columns that the token's user may not export, without a word. A server that
ignores parameters, and a project that is changed meanwhile, do the same.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import pyarrow as pa

from redcap_dagster.api.calls.project_structure import export_dictionary
from redcap_dagster.api.errors import ProjectChangedError, REDCapError
from redcap_dagster.api.export.plan.query import ExportQuery
from redcap_dagster.api.export.reader.records import is_blank
from redcap_dagster.api.export.reader.requested import Requested
from redcap_dagster.api.export.reader.row_keys import REQUEST
from redcap_dagster.api.export.reader.selection import csv_parameters
from redcap_dagster.api.export.verification.census import read_header
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import Field, REDCapProject
from redcap_dagster.project.name_lists import list_names

logger = logging.getLogger("redcap_dagster.api")

_PUBLIC: Final = re.compile(r"(?![0-9a-z]{32})[a-z][a-z0-9_]{0,99}")
"""A name that may be shown: it can be that of a column, and is not a token."""


@dataclass(frozen=True)
class ExportedColumns:
    """The columns that the token's user may export, requested once, when they are needed.

    If that request fails, its error is raised each time: smaller requests would not help it.

    Attributes:
        record_id_field: The record id field.
    """

    record_id_field: str
    _read: list[frozenset[str] | REDCapError] = field(default_factory=list, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def read(self, transport: Transport) -> frozenset[str]:
        """Return the columns; none where the server names no columns without rows.

        Raises:
            REDCapError: A request failed. The type says why.
        """
        with self._lock:
            if not self._read:
                try:
                    self._read.append(frozenset(read_header(transport, self.record_id_field)))
                except REDCapError as error:
                    self._read.append(error)
            known = self._read[0]
            if isinstance(known, REDCapError):
                raise known
            return known


def check_columns(
    transport: Transport,
    query: ExportQuery,
    table: pa.Table,
    exported: ExportedColumns,
    received: Iterable[str],
) -> tuple[str, ...]:
    """Return the names of columns that were received although they were not requested.

    A column that the dictionary has and the export lacks is hidden by the user's rights only if an
    export of all columns lacks it too.

    Args:
        transport: The connection.
        query: The query of the export.
        table: The export. Without rows, newer servers name no columns; then nothing is compared.
        exported: The columns that the token's user may export.
        received: The columns of all responses.

    Raises:
        ProjectChangedError: The dictionary was changed since it was exported.
        ResponseMismatchError: Columns are missing that the token's user may export.
        REDCapError: A request failed. The type says why.
    """
    if is_blank(table):
        return ()
    return compare_columns(
        transport,
        query.write_single_request(),
        query.project,
        table.column_names,
        exported,
        received,
    )


def compare_columns(
    transport: Transport,
    parameters: dict[str, str],
    project: REDCapProject,
    columns: Sequence[str],
    exported: ExportedColumns,
    received: Iterable[str] = (),
) -> tuple[str, ...]:
    """Return the names of columns that were not requested, like `check_columns`.

    Args:
        transport: The connection.
        parameters: The parameters of the export.
        project: The structure.
        columns: The columns of the export.
        exported: The columns that the token's user may export.
        received: The columns of all responses. Defaults to those of the export.
    """
    id_field = project.record_id_field
    requested = Requested.read(csv_parameters(parameters), id_field, project)
    other = requested.find_other([*dict.fromkeys([*columns, *received])])
    missing = requested.find_missing(columns)
    if other or missing:
        _check_dictionary(transport, project, [*other, *missing])
    if missing:
        seen = exported.read(transport)
        everything = Requested.read({}, id_field, project)
        hidden = {*everything.find_missing([*seen])}
        lost = [name for name in missing if name not in hidden]
        if len(hidden) == everything.count_columns():  # such a response is of another request
            lost = missing
        if seen and lost:
            raise requested.mismatch_error(
                f"{len(lost)} columns that were requested are missing ({list_names(lost)}), "
                "although the token's user may export them"
            )
    public = sorted(filter(_PUBLIC.fullmatch, other))  # no cell
    if other:
        named = list_names(public, total=len(other))
        logger.warning("%s: columns that were not requested are left out: %s", REQUEST, named)
        if missing:
            logger.warning(
                "%s: columns that were requested are missing: %s. Either the token's user may not "
                "export them, or a proxy or the server renamed them to some that are left out.",
                REQUEST,
                list_names(missing),
            )
    return tuple(public)


def _check_dictionary(transport: Transport, project: REDCapProject, columns: Sequence[str]) -> None:
    """Raise if the fields of some columns were changed since the dictionary was exported."""
    before = _index_fields(project)
    after = _index_fields(REDCapProject.from_exports(metadata=export_dictionary(transport)))
    names = {name for column in columns for name in (column, column.partition("___")[0])}
    changed = sorted(name for name in names if before.get(name) != after.get(name))
    if changed:
        raise ProjectChangedError(
            f"{REQUEST}: the project was changed during the export: its dictionary has other "
            f"definitions of {list_names(changed)} than before. Export its structure and its "
            "records again.",
            request=REQUEST,
        )


def _index_fields(project: REDCapProject) -> dict[str, Field]:
    return {one.field_name: one for one in project.fields}
