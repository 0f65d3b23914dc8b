"""The SQLite database of a sandbox: temporary, or kept in a file that only the user can read."""

import sqlite3
from pathlib import Path
from typing import Final

_APPLICATION_ID: Final = 0x52434150
"""SQLite's application id, by which a sandbox recognizes its files."""

_SCHEMA: Final = """
create table if not exists project (id integer primary key, structure text not null);
create table if not exists user (
    project integer not null references project on delete cascade, username text not null,
    token text unique, rights text not null, primary key (project, username)
) without rowid;
create table if not exists log (
    id integer primary key, project integer not null references project on delete cascade,
    time text not null, username text not null, type text not null, action text not null,
    details text not null, record text not null
);
create table if not exists access_group (
    project integer not null references project, record text not null, arm integer not null,
    name text not null, primary key (project, record, arm)
) without rowid;
create table if not exists row (
    id integer primary key, project integer not null references project, record text not null,
    event text not null, instrument text not null, instance integer not null,
    unique (project, record, event, instrument, instance)
);
create table if not exists value (
    row integer not null references row on delete cascade, name text not null, value text not null,
    primary key (row, name)
) without rowid;
"""


def open_database(keep: Path | None) -> sqlite3.Connection:
    """Return an open database.

    Args:
        keep: File to keep it in, which only the user can read because it holds tokens. None for a
            temporary database.

    Raises:
        ValueError: The file is not a sandbox's, or another process has it open.
        OSError: The file cannot be opened.
    """
    if keep is not None:
        keep.touch(mode=0o600)
        keep.chmod(0o600)
    # The empty name is a temporary database of SQLite: no other process can open it, and it is
    # deleted when it is closed.
    database = sqlite3.connect(keep or "", timeout=0, check_same_thread=False)
    try:
        database.executescript("pragma foreign_keys = on; pragma locking_mode = exclusive;")
        (application_id,) = database.execute("pragma application_id").fetchone()
        (tables,) = database.execute("select count(*) from sqlite_master").fetchone()
        if tables and application_id != _APPLICATION_ID:
            raise sqlite3.DatabaseError
        # This writes, and so takes the exclusive lock until the database is closed.
        database.executescript(f"pragma application_id = {_APPLICATION_ID}; {_SCHEMA}")
    except sqlite3.OperationalError:
        database.close()
        raise ValueError(
            "keep: another process has this file open. Stop it, or give another file."
        ) from None
    except sqlite3.DatabaseError:
        database.close()
        raise ValueError(
            "keep: this file is not a sandbox's. Give a new file, or one that a sandbox made."
        ) from None
    return database
