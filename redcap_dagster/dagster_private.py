"""The few names of Dagster that have no public path, in one place."""

from dagster._config.pythonic_config.resource import PartialResource
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    StateBackedDefinitionsLoader,
)
from dagster._utils.env import using_dagster_dev
from dagster.components.resolved.core_models import (
    MultiRunBackfillPolicyModel,
    SingleRunBackfillPolicyModel,
    resolve_backfill_policy,
)
from dagster.components.resolved.form_config import FormWidget
from dagster.components.utils.project_paths import get_local_state_path
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from dagster_shared.serdes.objects.models.defs_state_info import DefsStateManagementType

__all__ = [
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
    "resolve_backfill_policy",
    "using_dagster_dev",
]
