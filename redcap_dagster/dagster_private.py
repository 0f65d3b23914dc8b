"""The few names of Dagster that have no public path, in one place."""

from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    StateBackedDefinitionsLoader,
)

__all__ = ["DefinitionsLoadContext", "DefinitionsLoadType", "StateBackedDefinitionsLoader"]
