"""REDCapProjectComponent: a project from YAML, its structure kept as the component's state."""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg
from dagster.components.component.state_backed_component import StateBackedComponent
from dagster.components.resolved.core_models import OpSpec
from dagster.components.resolved.form_config import FormWidget
from dagster.components.utils.defs_state import (
    DefsStateConfig,
    DefsStateConfigArgs,
    ResolvedDefsStateConfig,
)
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver
from pydantic import Field

from redcap_dagster.assets import AssetOptions
from redcap_dagster.automation import time_span
from redcap_dagster.component.attributes import (
    Checks,
    Cleaning,
    Client,
    Freshness,
    OnCron,
    Partitions,
    Retries,
    Schedule,
    Storage,
    condition,
    lazily,
    matching,
)
from redcap_dagster.component.scaffolder import REDCapProjectScaffolder
from redcap_dagster.dagster_private import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    DefsStateManagementType,
    get_local_state_path,
    using_dagster_dev,
)
from redcap_dagster.definitions import build_redcap_definitions
from redcap_dagster.project import REDCapProject
from redcap_dagster.resource import REDCapResource
from redcap_dagster.translator import DagsterREDCapTranslator, REDCapTableProps

logger = logging.getLogger("redcap_dagster")

_IN_MEMORY = DefsStateManagementType.LEGACY_CODE_SERVER_SNAPSHOTS
"""Dagster fetches this at every load by itself."""

Translation = Annotated[
    TranslationFn[REDCapTableProps],
    TranslationFnResolver[REDCapTableProps](lambda props: {"props": props}),
]


@dg.scaffold_with(REDCapProjectScaffolder)
class REDCapProjectComponent(StateBackedComponent, dg.Model, dg.Resolvable):
    """A REDCap project as Dagster assets: one typed table per instrument, from its dictionary.

    Its state is the structure of the project, without records and token. ``dg utils
    refresh-defs-state`` fetches it; ``dagster dev`` and ``dg`` fetch it only where there is none
    yet, or where it is older than ``max_age``.
    """

    name: str = Field(description="What the project is called in Dagster.", examples=["trial"])
    url: Annotated[
        Any,
        dg.Resolver(
            lazily,
            model_field_type=str,
            inject_before_resolve=False,
            description="URL of the REDCap API.",
        ),
    ]
    token: Annotated[
        Any,
        dg.Resolver(
            lazily,
            model_field_type=str,
            inject_before_resolve=False,
            description="API token. Write {{ env.NAME }}, so that it stays in the environment.",
            form_config=dg.ComponentFormConfig(widget=FormWidget.SECRET),
        ),
    ] = Field(repr=False)
    instruments: list[str] | None = Field(
        default=None, description="Names or patterns (follow_up_*) of instruments; all by default."
    )
    cleaning: Cleaning = Field(default=Cleaning(), description="How records become clean tables.")
    checks: Checks = Field(default=Checks(), description="What is changed about the checks.")
    client: Client = Field(default=Client(), description="How REDCap is asked.")
    translation: Translation | None = Field(
        default=None, description="Attributes of the assets, with {{ props... }} of each table."
    )
    storage: Storage | None = Field(default=None, description="Where the tables are kept.")
    io_manager_key: str | None = Field(
        default=None, description="A resource of yours that keeps the tables, instead of storage."
    )
    partitions: Partitions | None = Field(
        default=None, description="Records in buckets, for a project that is too large for one run."
    )
    allow_shrink: bool = Field(
        default=False,
        description="Lets tables be replaced although much of them is gone, or hidden.",
    )
    op: OpSpec | None = Field(default=None, description="Settings of the ops, such as their pool.")
    retries: Retries | None = Field(default=None, description="When an op fails as a whole.")
    freshness: Freshness | None = Field(default=None, description="How old tables may be.")
    automation: Literal["on_change"] | OnCron | None = Field(
        default=None,
        description="What wakes tables: a change of what they are made from, or ticks of a clock.",
    )
    change_sensor: bool = Field(
        default=False, description="Whether a sensor asks REDCap every few minutes what changed."
    )
    schedule: Schedule | None = Field(default=None, description="When tables are made anew.")
    max_age: str | None = Field(
        default=None, description="When dagster dev fetches the structure anew: 12h, 7d."
    )
    defs_state: ResolvedDefsStateConfig = DefsStateConfigArgs.local_filesystem()

    @classmethod
    def get_form_config(cls) -> dg.ComponentFormConfig:
        """Show the component in Dagster's forms."""
        return dg.ComponentFormConfig(label="REDCap project", editable=True)

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """Where the state is: by project name, since two projects of one server are two."""
        return DefsStateConfig.from_args(
            # This class decides by itself when to fetch; see `build_defs`.
            self.defs_state.model_copy(update={"refresh_if_dev": False}),
            default_key=f"{type(self).__name__}[{self.name}]",
        )

    def write_state_to_path(self, state_path: Path) -> None:
        """Fetch the structure; what was there stays until all of it has come."""
        fetched = state_path.with_suffix(".fetched")
        fetched.write_text(self._resource().get_client().export_project().to_json())
        fetched.replace(state_path)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions; where there is none yet, or it is too old, fetch the state."""
        if (
            self.defs_state.refresh_if_dev
            and self.defs_state.management_type is not _IN_MEMORY
            and using_dagster_dev()
            and DefinitionsLoadContext.get().load_type is DefinitionsLoadType.INITIALIZATION
            and self._is_due(context.project_root)
        ):
            self._refresh(context.project_root)
        return super().build_defs(context)

    def build_defs_from_state(
        self,
        context: dg.ComponentLoadContext,  # noqa: ARG002 part of the interface
        state_path: Path | None,
    ) -> dg.Definitions:
        """Build the definitions, offline."""
        if state_path is None:
            logger.warning(
                "REDCap project %s: no structure yet, so no assets. Run: dg utils "
                "refresh-defs-state",
                self.name,
            )
            return dg.Definitions()
        project = REDCapProject.from_json(state_path.read_text())
        return build_redcap_definitions(
            name=self.name,
            redcap=self._resource(),
            project=project,
            instruments=matching(project, self.instruments),
            rules=self.cleaning.rules(),
            translator=_Translator(self),
            io_manager=None if self.storage is None else self.storage.io_manager(),
            change_sensor=self.change_sensor,
            schedule=None if self.schedule is None else self.schedule.schedule(),
            **self._options(),
        )

    def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
        """Give the spec of a table's asset; override it to change more than YAML can."""
        spec = DagsterREDCapTranslator().get_asset_spec(props)
        return spec if self.translation is None else self.translation(spec, props)

    def get_check_specs(
        self, props: REDCapTableProps, spec: dg.AssetSpec
    ) -> Sequence[dg.AssetCheckSpec]:
        """Give the checks of a table; override it to leave some out or describe them otherwise."""
        return DagsterREDCapTranslator().get_check_specs(props, spec)

    def _resource(self) -> REDCapResource:
        return REDCapResource(url=self.url, token=self.token, **self.client.model_dump())

    def _options(self) -> AssetOptions:
        options: AssetOptions = {
            "checks": self.checks.rules(),
            "allow_shrink": self.allow_shrink,
        }
        if self.partitions is not None:
            options["buckets"] = self.partitions.buckets
        if self.io_manager_key is not None:
            options["io_manager_key"] = self.io_manager_key
        if self.op is not None:
            asked = {
                "op_name": self.op.name,
                "op_description": self.op.description,
                "pool": self.op.pool,
                "op_tags": self.op.tags,
                "backfill_policy": self.op.backfill_policy,
            }
            options |= {name: value for name, value in asked.items() if value is not None}  # type: ignore[typeddict-item]
        if self.retries is not None:
            options["retry_policy"] = self.retries.policy()
        if self.freshness is not None:
            options["freshness_policy"] = self.freshness.policy()
        if self.automation is not None:
            options["automation_condition"] = condition(self.automation)
        return options

    def _is_due(self, project_root: Path) -> bool:
        """Whether there is no state, or one that is too old."""
        written = self._written(project_root)
        if written is None:
            return True
        if self.max_age is None:
            return False
        return time.time() - written > time_span(self.max_age).total_seconds()

    def _written(self, project_root: Path) -> float | None:
        """When the state was written; None where there is none."""
        config = self.defs_state_config
        if config.management_type is DefsStateManagementType.LOCAL_FILESYSTEM:
            path = get_local_state_path(config.key, project_root)
            return path.stat().st_mtime if path.exists() else None
        known = DefinitionsLoadContext.get().get_defs_key_state_info(config.key)
        if known is None or known.management_type is not config.management_type:
            return None
        return known.create_timestamp

    def _refresh(self, project_root: Path) -> None:
        """Fetch the state; if that fails, go on with what there is, and say so."""
        try:
            version = asyncio.run(self.refresh_state(project_root))
        except Exception as error:  # noqa: BLE001 a server that is down must not stop a code location
            logger.warning("REDCap project %s: structure not fetched. %s", self.name, error)
        else:
            DefinitionsLoadContext.get().add_defs_state_info(self.defs_state_config.key, version)


class _Translator(DagsterREDCapTranslator):
    """Hands each table to the component."""

    def __init__(self, component: REDCapProjectComponent) -> None:
        self._component = component

    def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
        return self._component.get_asset_spec(props)

    def get_check_specs(
        self, props: REDCapTableProps, spec: dg.AssetSpec
    ) -> Sequence[dg.AssetCheckSpec]:
        return self._component.get_check_specs(props, spec)
