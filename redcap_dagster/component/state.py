"""The stored structure of a component: written whole, read with a sentence of what is wrong."""

import time
from pathlib import Path
from uuid import uuid4

from dagster.components import DefsStateConfig

from redcap_dagster.automation import time_span
from redcap_dagster.dagster_private import (
    DefinitionsLoadContext,
    DefsStateManagementType,
    get_local_state_path,
)
from redcap_dagster.failures import reason
from redcap_dagster.project import REDCapProject, StructureError


def write_state(path: Path, state: str) -> None:
    """Write a state; another process that reads or writes it meets a whole one."""
    written = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        written.write_text(state, encoding="utf-8")
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def read_state(path: Path | None) -> REDCapProject:
    """Return the structure that a state holds.

    Raises:
        StructureError: There is none. The text says why and what to do, as part of a sentence.
    """
    if path is None:
        raise StructureError("its structure was not fetched yet. Run: dg utils refresh-defs-state")
    if not path.is_file():  # to read a pipe would wait forever
        raise StructureError(f"its stored structure is not a file: {path}")
    try:
        return REDCapProject.from_json(path.read_text(encoding="utf-8"))
    except (StructureError, OSError, UnicodeDecodeError) as error:
        raise StructureError(
            f"its stored structure cannot be read: {reason(error)} Run: dg utils refresh-defs-state"
        ) from None


def is_due(config: DefsStateConfig, project_root: Path, max_age: str | None) -> bool:
    """Return whether there is no state, or one that is older than ``max_age``."""
    written = _read_time(config, project_root)
    if written is None:
        return True
    if max_age is None:
        return False
    return time.time() - written > time_span(max_age).total_seconds()


def _read_time(config: DefsStateConfig, project_root: Path) -> float | None:
    """Return the time at which a state was written; None if it does not exist."""
    if config.management_type is DefsStateManagementType.LOCAL_FILESYSTEM:
        path = get_local_state_path(config.key, project_root)
        return path.stat().st_mtime if path.exists() else None
    known = DefinitionsLoadContext.get().get_defs_key_state_info(config.key)
    if known is None or known.management_type is not config.management_type:
        return None
    return known.create_timestamp
