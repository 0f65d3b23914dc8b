"""The projects of a sandbox in SQLite: structures, users, rows and values.

A row has the values that were saved for a record in an event and an instance. A value belongs to
an export column: a ticked checkbox option is ``1``, an unticked one is not stored.
"""

import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import ACCESS_GROUP
from redcap_dagster.sandbox.dialects import Dialect
from redcap_dagster.sandbox.store.database import open_database
from redcap_dagster.sandbox.store.rights import Rights
from redcap_dagster.sandbox.store.row_keys import RowKey

FIRST_USER = "sandbox"
"""Name of a new project's first user."""

# The next project id, which no project was added with.
_NEXT_NUMBER = """
select coalesce(max(max(id, coalesce(json_extract(structure, '$.info.project_id'), 0))), 0) + 1
from project
"""
_ROW = """
select id from row
where project = ? and record = ? and event = ? and instrument = ? and instance = ?
"""
_ROWS = """
select id, record, event, instrument, instance from row
where project = :project
    and (:records is null or record in (select value from json_each(:records)))
    and (:events is null or event in (select value from json_each(:events)))
"""
_VALUES = """
select value.row, value.name, value.value from row join value on value.row = row.id
where project = :project
    and (:records is null or record in (select value from json_each(:records)))
    and (:events is null or event in (select value from json_each(:events)))
    and value.name in (select value from json_each(:names))
"""


@dataclass(frozen=True, slots=True)
class StoredProject:
    """A project of the store, with the name and the rights of one of its users."""

    id: int
    structure: REDCapProject = field(repr=False)
    username: str = field(repr=False)
    rights: Rights = field(repr=False)


class Store:
    """The projects of a sandbox.

    Attributes:
        lock: Lock that is held while a request is handled, so that each response is a consistent
            snapshot.
        super_token: Token that creates projects.
        now: Function that returns the server's time.
        url: URL of the server.
        dialect: How the server differs from others.
    """

    def __init__(
        self, now: Callable[[], datetime], dialect: Dialect, keep: Path | None = None
    ) -> None:
        self.now = now
        self.dialect = dialect
        self.url = ""
        self.lock = threading.RLock()
        self.super_token = secrets.token_hex(32).upper()
        self._database = open_database(keep)

    def close(self) -> None:
        """Close the database, which deletes everything that is not kept in a file."""
        with self.lock:
            self._database.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """Database, for modules that have tables of their own; use it while holding the lock."""
        return self._database

    # -- projects and users -----------------------------------------------------------------

    def add_project(
        self, structure: REDCapProject, token: str | None = None, rights: Rights | None = None
    ) -> str:
        """Add a project without records, and return the token of its first user.

        Missing ids and a missing creation time are filled in, as a server assigns them.
        """
        token = token or secrets.token_hex(16).upper()
        with self.lock, self._database:
            found = self._database.execute(_NEXT_NUMBER)
            (number,) = found.fetchone()
            created = self.now().strftime("%Y-%m-%d %H:%M:%S")
            info = replace(
                structure.info,
                project_id=structure.info.project_id or number,
                creation_time=structure.info.creation_time or created,
            )
            events = tuple(
                replace(event, event_id=event.event_id or 1000 * number + index)
                for index, event in enumerate(structure.events)
            )
            text = replace(structure, info=info, events=events).to_json()
            self._database.execute("insert into project values (?, ?)", (number, text))
            self.save_user(number, FIRST_USER, rights or Rights(), token)
        return token

    def find_project(self, token: str) -> StoredProject | None:
        """Return the project of a token, or None."""
        with self.lock:
            found = self._database.execute(
                "select project, structure, username, rights from user"
                " join project on project.id = user.project where token = ?",
                (token,),
            ).fetchone()
        if found is None:
            return None
        number, structure, username, rights = found
        return StoredProject(number, _parse_structure(structure), username, _parse_rights(rights))

    def list_projects(self, username: str, project_id: int | None = None) -> list[StoredProject]:
        """Return the projects of a user, with the user's rights, in the order they were added.

        Args:
            username: Name of the user.
            project_id: Id by which REDCap knows the projects, which two of them can have if they
                were added with it. Defaults to None: all projects.
        """
        found = self._database.execute(
            "select project, structure, rights from user"
            " join project on project.id = user.project where username = ?"
            " and coalesce(json_extract(structure, '$.info.project_id') = ?, 1) order by project",
            (username, project_id),
        )
        return [
            StoredProject(number, _parse_structure(structure), username, _parse_rights(rights))
            for number, structure, rights in found
        ]

    def replace_structure(self, project: int, structure: REDCapProject) -> None:
        """Replace the structure of a project; all values stay, even if no export shows them."""
        with self.lock, self._database:
            self._database.execute(
                "update project set structure = ? where id = ?", (structure.to_json(), project)
            )

    def list_users(self, project: int) -> dict[str, Rights]:
        """Return the rights of all users of a project, by name."""
        found = self._database.execute(
            "select username, rights from user where project = ? order by username", (project,)
        )
        return {username: _parse_rights(rights) for username, rights in found}

    def save_user(
        self, project: int, username: str, rights: Rights, token: str | None = None
    ) -> None:
        """Add a user, or change the rights of a user, who keeps the token.

        Raises:
            ValueError: Another user has the token.
        """
        try:
            with self.lock, self._database:
                self._database.execute(
                    "insert into user values (?, ?, ?, ?) on conflict (project, username)"
                    " do update set rights = excluded.rights,"
                    " token = coalesce(excluded.token, token)",
                    (project, username, token, rights.to_json()),
                )
        except sqlite3.IntegrityError:
            raise ValueError("Another project of this sandbox has this token.") from None

    def get_token(self, project: int, username: str) -> str:
        """Return the token of a user, which is created if the user does not have one.

        Raises:
            KeyError: The project does not have this user.
        """
        with self.lock, self._database:
            self._database.execute(
                "update user set token = coalesce(token, ?) where project = ? and username = ?",
                (secrets.token_hex(16).upper(), project, username),
            )
            found = self._database.execute(
                "select token from user where project = ? and username = ?", (project, username)
            ).fetchone()
        if found is None:
            raise KeyError("The project does not have a user of this name.")
        return str(found[0])

    def find_token(self, project: int, username: str) -> str:
        """Return the token of a user, or a blank for a user without one."""
        found = self._database.execute(
            "select token from user where project = ? and username = ?", (project, username)
        ).fetchone()
        return found[0] or "" if found else ""

    def delete_token(self, project: int, username: str) -> None:
        """Delete the token of a user, which is no longer valid; `get_token` creates another."""
        with self.lock, self._database:
            self._database.execute(
                "update user set token = null where project = ? and username = ?",
                (project, username),
            )

    def delete_user(self, project: int, username: str) -> None:
        """Remove a user and the user's token from a project."""
        with self.lock, self._database:
            self._database.execute(
                "delete from user where project = ? and username = ?", (project, username)
            )

    # -- records ----------------------------------------------------------------------------

    def save_values(
        self, project: StoredProject, cells: Iterable[tuple[RowKey, Mapping[str, str]]]
    ) -> None:
        """Save values by export column; a blank clears a value.

        Each row exists afterwards, even without values. An access group belongs to the record in
        all events of the arm.
        """
        arms = {event.unique_event_name: event.arm_num for event in project.structure.events}
        with self.lock, self._database:
            for row_key, values in cells:
                row = self._get_or_add_row(project.id, row_key)
                own = dict(values)
                group = own.pop(ACCESS_GROUP, None)
                if group is not None:
                    self._assign_access_group(
                        project.id, row_key.record, arms.get(row_key.event, 0), group
                    )
                self._database.executemany(
                    "insert or replace into value values (?, ?, ?)",
                    [(row, name, value) for name, value in own.items() if value != ""],
                )
                self._database.executemany(
                    "delete from value where row = ? and name = ?",
                    [(row, name) for name, value in own.items() if value == ""],
                )

    def _get_or_add_row(self, project: int, row_key: RowKey) -> int:
        """Return the number of a row, which is added if it does not exist."""
        key = (project, row_key.record, row_key.event, row_key.instrument, row_key.instance)
        self._database.execute(
            "insert or ignore into row (project, record, event, instrument, instance)"
            " values (?, ?, ?, ?, ?)",
            key,
        )
        return int(self._database.execute(_ROW, key).fetchone()[0])

    def find_row(self, project: StoredProject, row_key: RowKey) -> int:
        """Return the number of a row, or 0 if it does not exist."""
        key = (row_key.record, row_key.event, row_key.instrument, row_key.instance)
        found = self._database.execute(_ROW, (project.id, *key)).fetchone()
        return int(found[0]) if found else 0

    def _assign_access_group(self, project: int, record: str, arm: int, group: str) -> None:
        if group == "":
            self._database.execute(
                "delete from access_group where project = ? and record = ? and arm = ?",
                (project, record, arm),
            )
        else:
            self._database.execute(
                "insert or replace into access_group values (?, ?, ?, ?)",
                (project, record, arm, group),
            )

    def delete_record(self, project: StoredProject, record: str) -> bool:
        """Delete a record with its rows and groups, and return whether it existed."""
        with self.lock, self._database:
            self._database.execute(
                "delete from access_group where project = ? and record = ?", (project.id, record)
            )
            deleted = self._database.execute(
                "delete from row where project = ? and record = ?", (project.id, record)
            )
        return deleted.rowcount > 0

    def has_record(self, project: StoredProject, record: str) -> bool:
        """Return whether a record exists in any arm."""
        found = self._database.execute(
            "select 1 from row where project = ? and record = ?", (project.id, record)
        )
        return found.fetchone() is not None

    def list_access_groups(self, project: StoredProject) -> dict[tuple[str, int], str]:
        """Return the access groups by record and arm."""
        found = self._database.execute(
            "select record, arm, name from access_group where project = ?", (project.id,)
        )
        return {(record, arm): name for record, arm, name in found}

    def find_rows(
        self, project: StoredProject, records: Sequence[str], events: Sequence[str]
    ) -> Iterator[tuple[int, RowKey]]:
        """Return number and key of the rows of some records and events; none named means all."""
        found = self._database.execute(_ROWS, _bind_selection(project, records, events))
        return ((number, RowKey(*row_key)) for number, *row_key in found)

    def find_values(
        self,
        project: StoredProject,
        records: Sequence[str],
        events: Sequence[str],
        names: Sequence[str],
    ) -> Iterator[tuple[int, str, str]]:
        """Return row number, column and value of some columns, for the rows of `find_rows`."""
        return self._database.execute(
            _VALUES, _bind_selection(project, records, events) | {"names": json.dumps(names)}
        )


def _bind_selection(
    project: StoredProject, records: Sequence[str], events: Sequence[str]
) -> dict[str, int | str | None]:
    return {
        "project": project.id,
        "records": json.dumps(records) if records else None,
        "events": json.dumps(events) if events else None,
    }


_parse_structure = lru_cache(maxsize=32)(REDCapProject.from_json)
_parse_rights = lru_cache(maxsize=32)(Rights.from_json)
