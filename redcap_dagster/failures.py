"""The reason of a failure as a text without values of the project."""

import traceback
from pathlib import Path

from redcap_dagster.api import REDCapError
from redcap_dagster.project import StructureError


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
