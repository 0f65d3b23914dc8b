"""The reason of a failure as a text without values of the project; projects that do not load."""

import logging
import os
import traceback
from pathlib import Path

import dagster as dg

from redcap_dagster.api import REDCapError
from redcap_dagster.project import StructureError

logger = logging.getLogger("redcap_dagster")

STRICT_VARIABLE = "REDCAP_DAGSTER_STRICT"
"""Environment variable that makes all projects strict, unless it is blank, 0 or false."""


class ProjectNotLoadedError(Exception):
    """A project has no assets, because its structure is missing or does not fit its options."""


def without_assets(message: str, *, strict: bool) -> dg.Definitions:
    """Return the definitions of a project that cannot be loaded: none, with a warning.

    Args:
        message: What happened and what to do, with the name of the project.
        strict: Whether a project without assets is an error.

    Raises:
        ProjectNotLoadedError: ``strict`` is true, or the environment variable is set.
    """
    if strict or os.environ.get(STRICT_VARIABLE, "").lower() not in ("", "0", "false"):
        raise ProjectNotLoadedError(message)
    logger.warning("%s", message)
    return dg.Definitions()


def reason(error: Exception) -> str:
    """Return why something failed.

    The message of other libraries' errors may contain values, so that only their type and the line
    of this package are returned.
    """
    if isinstance(error, REDCapError | StructureError):
        return str(error)
    here = Path(__file__).parent
    frames = [
        (Path(frame.filename).relative_to(here), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(here)
    ]
    file, line = frames[-1]
    return f"unexpected {type(error).__name__} at {file}:{line}"
