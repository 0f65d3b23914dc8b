"""The definitions that Dagster loads: those of all modules and YAML files in ``defs``."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the folder ``defs``."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
