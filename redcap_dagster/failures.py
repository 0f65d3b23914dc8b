"""The reason of a failure, without a value of the project."""

import traceback
from pathlib import Path

from redcap_dagster.api import (
    REDCapError,
)
from redcap_dagster.project import StructureError


def reason(error: Exception) -> str:
    """Say why something failed; of other libraries' errors, whose texts may hold values, where."""
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
