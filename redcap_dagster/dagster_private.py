"""The few names of Dagster that have no public path, in one place."""

from dagster import ResolutionContext
from dagster._config.pythonic_config.resource import PartialResource
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    StateBackedDefinitionsLoader,
)
from dagster._core.storage.db_io_manager import DbIOManager
from dagster._utils.env import using_dagster_dev
from dagster._utils.schedules import is_valid_cron_schedule
from dagster.components.resolved.core_models import (
    MultiRunBackfillPolicyModel,
    SingleRunBackfillPolicyModel,
    resolve_backfill_policy,
)
from dagster.components.resolved.form_config import FormWidget
from dagster.components.utils.project_paths import get_local_state_path
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from dagster_shared.record import copy
from dagster_shared.serdes.objects.models.defs_state_info import DefsStateManagementType

__all__ = [
    "DbIOManager",
    "DefinitionsLoadContext",
    "DefinitionsLoadType",
    "DefsStateManagementType",
    "FormWidget",
    "MultiRunBackfillPolicyModel",
    "PartialResource",
    "SingleRunBackfillPolicyModel",
    "StateBackedDefinitionsLoader",
    "TranslationFn",
    "TranslationFnResolver",
    "get_local_state_path",
    "is_valid_cron_schedule",
    "resolve_backfill_policy",
    "using_dagster_dev",
    "without_source",
]


def without_source(context: ResolutionContext) -> ResolutionContext:
    """Return the context of templates without the YAML file, whose lines its errors quote."""
    return copy(context, source_position_tree=None)
