"""REDCapProjectComponent: a project from YAML, its structure kept as the component's state."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig
from pydantic import ConfigDict, Field, field_validator

from redcap_dagster.api.http.url import normalize_url
from redcap_dagster.automation import SPAN, time_span
from redcap_dagster.component.attributes import (
    ChangeSensorAttributes,
    CheckRulesAttributes,
    CleaningRulesAttributes,
    ClientAttributes,
    DuckDBAttributes,
    FreshnessAttributes,
    OnCronAttributes,
    ParquetAttributes,
    PartitionsAttributes,
    RetryAttributes,
    ScheduleAttributes,
    condition,
    lazily,
    matching,
    written_as,
)
from redcap_dagster.component.scaffolder import REDCapProjectScaffolder
from redcap_dagster.dagster_private import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    DefsStateManagementType,
    FormWidget,
    OpSpec,
    TranslationFn,
    TranslationFnResolver,
    get_local_state_path,
    using_dagster_dev,
)
from redcap_dagster.definitions import build_redcap_definitions
from redcap_dagster.failures import reason
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.resource import REDCapResource
from redcap_dagster.specs.asset_specs import NAME, check_name
from redcap_dagster.specs.translator import DagsterREDCapTranslator, REDCapTableProps

logger = logging.getLogger("redcap_dagster")

_IN_MEMORY = DefsStateManagementType.LEGACY_CODE_SERVER_SNAPSHOTS
"""Dagster fetches this at every load by itself."""

Translation = Annotated[
    TranslationFn[REDCapTableProps],
    TranslationFnResolver[REDCapTableProps](lambda props: {"props": props}),
]


@dg.scaffold_with(REDCapProjectScaffolder)
class REDCapProjectComponent(
    dg.StateBackedComponent, dg.Model, dg.Resolvable, DagsterREDCapTranslator
):
    """A REDCap project as Dagster assets: one typed table per instrument, from its dictionary.

    Its state is the structure of the project, without records and token. ``dg utils
    refresh-defs-state`` fetches it; ``dagster dev`` and ``dg`` fetch it only where there is none
    yet, or where it is older than ``max_age``.

    Translated ``deps`` come on top of a table's own. No asset can depend on itself: where they name
    a table of the project, such as ``trial/metadata/fields``, give them under a condition on
    ``props``. A subclass may override the methods of a translator to change more than YAML can.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it may be a token

    name: str = Field(
        description="What the project is called in Dagster.",
        json_schema_extra=written_as(NAME),
        examples=["trial"],
    )
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
            model_field_type=Any,
            inject_before_resolve=False,
            description="API token. Write {{ env.NAME }}, so that it stays in the environment.",
            form_config=dg.ComponentFormConfig(widget=FormWidget.SECRET),
        ),
    ] = Field(repr=False)
    instruments: list[str] | None = Field(
        default=None, description="Names or patterns (follow_up_*) of instruments; all by default."
    )
    cleaning: CleaningRulesAttributes = Field(
        default=CleaningRulesAttributes(), description="How records become clean tables."
    )
    checks: CheckRulesAttributes = Field(
        default=CheckRulesAttributes(), description="What is changed about the checks."
    )
    client: ClientAttributes = Field(default=ClientAttributes(), description="How REDCap is asked.")
    translation: Translation | None = Field(
        default=None, description="Attributes of the assets, with {{ props... }} of each table."
    )
    storage: DuckDBAttributes | ParquetAttributes | None = Field(
        default=None, description="Where the tables are kept."
    )
    io_manager_key: str | None = Field(
        default=None, description="A resource of yours that keeps the tables, instead of storage."
    )
    partitions: PartitionsAttributes | None = Field(
        default=None, description="Records in buckets, for a project that is too large for one run."
    )
    allow_shrink: bool = Field(
        default=False,
        description="Lets tables be replaced although much of them is gone, or hidden.",
    )
    preview_rows: int = Field(
        default=0,
        description="How many rows of each table Dagster shows, and keeps: people's health data.",
    )
    op: OpSpec | None = Field(default=None, description="Settings of the ops, such as their pool.")
    retries: RetryAttributes | None = Field(
        default=None, description="When an op fails as a whole."
    )
    freshness: FreshnessAttributes | None = Field(
        default=None, description="How old tables may be."
    )
    automation: Literal["on_change"] | OnCronAttributes | None = Field(
        default=None,
        description="What wakes tables: a change of what they are made from, or ticks of a clock.",
    )
    change_sensor: bool | ChangeSensorAttributes = Field(
        default=False, description="Whether, or how often, a sensor asks REDCap what changed."
    )
    schedule: ScheduleAttributes | None = Field(
        default=None, description="When tables are made anew."
    )
    max_age: str | None = Field(
        default=None,
        description="When dagster dev fetches the structure anew: 12h, 7d.",
        json_schema_extra=written_as(SPAN),
    )
    defs_state: ResolvedDefsStateConfig = DefsStateConfigArgs.local_filesystem()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        check_name(name)
        return name

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: Any) -> Any:
        if not isinstance(url, dg.EnvVar):
            normalize_url(str(url))
        return url

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: Any) -> Any:
        if not isinstance(token, str):
            raise ValueError(f"token: it is {type(token).__name__}, not text. Put it into quotes.")
        return token

    @field_validator("max_age")
    @classmethod
    def _check_max_age(cls, max_age: str | None) -> str | None:
        if max_age is not None:
            time_span(max_age)
        return max_age

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
        self, context: dg.ComponentLoadContext, state_path: Path | None
    ) -> dg.Definitions:
        """Build the definitions, offline; there are none where they do not fit the structure."""
        if state_path is None:
            logger.warning(
                "REDCap project %s: no structure yet, so no assets. Run: dg utils "
                "refresh-defs-state",
                self.name,
            )
            return dg.Definitions()
        try:
            project = REDCapProject.from_json(state_path.read_text())
            return self._definitions(project, context.project_root)
        except StructureError as error:  # it must not stop the other projects of a code location
            logger.warning(
                "REDCap project %s: no assets, as its YAML and its structure do not fit. %s Change "
                "the YAML, or fetch the structure anew: dg utils refresh-defs-state",
                self.name,
                error,
            )
            return dg.Definitions()

    def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
        """Give the spec of a table's asset."""
        spec = super().get_asset_spec(props)
        return spec if self.translation is None else self.translation(spec, props)

    def _resource(self) -> REDCapResource:
        return REDCapResource(url=self.url, token=self.token, **self.client.model_dump())

    def _definitions(self, project: REDCapProject, root: Path) -> dg.Definitions:
        op = self.op or OpSpec()
        sensor = self.change_sensor
        return build_redcap_definitions(
            name=self.name,
            redcap=self._resource(),
            project=project,
            instruments=matching(project, self.instruments),
            rules=self.cleaning.rules(),
            translator=self,
            io_manager=None if self.storage is None else self.storage.io_manager(root),
            io_manager_key=self.io_manager_key,
            schedule=None if self.schedule is None else self.schedule.schedule(),
            change_sensor=sensor if isinstance(sensor, bool) else sensor.change_sensor(),
            checks=self.checks.rules(),
            buckets=None if self.partitions is None else self.partitions.buckets,
            allow_shrink=self.allow_shrink,
            preview_rows=self.preview_rows,
            freshness_policy=None if self.freshness is None else self.freshness.policy(),
            automation_condition=condition(self.automation),
            op_name=op.name,
            op_description=op.description,
            op_tags=op.tags,
            pool=op.pool,
            backfill_policy=op.backfill_policy,
            retry_policy=None if self.retries is None else self.retries.policy(),
        )

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
        said = "REDCap project %s: structure not fetched. %s"
        try:
            self._resource().get_client()
        except ValueError as error:  # of this package: an address or a variable that is not right
            logger.warning(said, self.name, error)
            return
        try:
            version = asyncio.run(self.refresh_state(project_root))
        except Exception as error:  # noqa: BLE001 a server that is down must not stop a code location
            logger.warning(said, self.name, reason(error))
        else:
            DefinitionsLoadContext.get().add_defs_state_info(self.defs_state_config.key, version)
