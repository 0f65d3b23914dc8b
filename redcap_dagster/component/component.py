"""REDCapProjectComponent: a project from YAML, whose structure is the component's state."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, create_model, field_validator

from redcap_dagster.api import ClientSettings
from redcap_dagster.api.http.url import normalize_url
from redcap_dagster.automation import (
    SPAN,
    ChangeSensorSettings,
    FreshnessSettings,
    ScheduleSettings,
    time_span,
)
from redcap_dagster.checks import CheckRules, QuerySettings
from redcap_dagster.component.paths import resolve_query_paths, resolve_rules_path
from redcap_dagster.component.scaffolder import REDCapProjectScaffolder
from redcap_dagster.component.secrecy import SecretiveModel
from redcap_dagster.component.state import is_due, read_state, write_state
from redcap_dagster.component.storage import StorageModel
from redcap_dagster.component.yaml_options import OptionModel, option_model, yaml_resolver
from redcap_dagster.component.yaml_values import (
    OnCronModel,
    match_instruments,
    resolve_automation,
    resolve_texts,
    resolve_token,
    resolve_url,
)
from redcap_dagster.dagster_private import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    DefsStateManagementType,
    FormWidget,
    TranslationFn,
    TranslationFnResolver,
    using_dagster_dev,
    without_source,
)
from redcap_dagster.definitions import build_redcap_definitions, fetch_structure
from redcap_dagster.demo import (
    DemoSettings,
    explain_missing_demo,
    is_demo,
    read_demo_structure,
)
from redcap_dagster.execution.op_settings import OpSettings
from redcap_dagster.failures import ProjectNotLoadedError, reason, without_assets
from redcap_dagster.options import written_as
from redcap_dagster.partitions import PartitionSettings
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.resource import REDCapResource
from redcap_dagster.specs.asset_specs import NAME, check_name
from redcap_dagster.specs.translator import DagsterREDCapTranslator, REDCapTableProps
from redcap_dagster.tables import CleaningRules

logger = logging.getLogger("redcap_dagster")

_IN_MEMORY = DefsStateManagementType.LEGACY_CODE_SERVER_SNAPSHOTS
"""Dagster fetches this at every load by itself."""

Translation = Annotated[
    TranslationFn[REDCapTableProps],
    TranslationFnResolver[REDCapTableProps](lambda props: {"props": props}),
]


@dg.scaffold_with(REDCapProjectScaffolder)
class REDCapProjectComponent(dg.StateBackedComponent, dg.Model, dg.Resolvable):
    """A REDCap project as Dagster assets: one typed table per instrument, from its dictionary.

    To write the YAML of a project named trial:

        dg scaffold defs redcap_dagster.REDCapProjectComponent trial --url URL

    The token stays in the environment variable REDCAP_API_TOKEN, or in another
    that --token-env names.

    Its state is the structure of the project, without records and token.
    "dg utils refresh-defs-state" fetches it; other commands fetch it only if
    it does not exist yet, or is older than max_age.

    Its options are those of build_redcap_definitions, with the same names and
    fields; translation stands for translator, and client has the settings of
    REDCapResource.

    Translated deps are added to the upstream assets of each table. An asset
    cannot depend on itself: if deps name a table of the project, such as
    trial/metadata/fields, exclude that table by a condition on props. A subclass
    may override get_asset_spec and get_check_specs to change more than YAML can.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # it may be a token

    name: str = Field(
        description="Name of the project in Dagster: first part of all keys and groups. Lower case "
        "letters, digits and underscores.",
        json_schema_extra=written_as(NAME),
        examples=["trial"],
    )
    url: Annotated[
        Any,
        dg.Resolver(
            resolve_url,
            model_field_type=str,
            inject_before_resolve=False,
            description="URL of the REDCap API.",
        ),
    ]
    token: Annotated[
        Any,
        dg.Resolver(
            resolve_token,
            model_field_type=Any,
            inject_before_resolve=False,
            description="API token. Write {{ env.NAME }}, so that it stays in the environment.",
            form_config=dg.ComponentFormConfig(widget=FormWidget.SECRET),
        ),
    ] = Field(repr=False)
    instruments: list[str] | None = Field(
        default=None,
        description="Names or patterns (follow_up_*) of the instruments that get assets. Defaults "
        "to all.",
    )
    client: Annotated[
        InstanceOf[ClientSettings] | None,
        dg.Resolver(resolve_texts, model_field_type=ClientSettings | None),
    ] = Field(
        default=None,
        description="How requests are sent to REDCap. Defaults to the default of each setting.",
    )
    cleaning: Annotated[
        InstanceOf[CleaningRules] | None, yaml_resolver(CleaningRules, "cleaning")
    ] = Field(
        default=None,
        description="How records become clean tables. Defaults to the default of each rule.",
    )
    checks: Annotated[InstanceOf[CheckRules] | None, yaml_resolver(CheckRules, "checks")] = Field(
        default=None,
        description="Settings of the checks. Defaults to the default of each setting.",
    )
    partitions: Annotated[
        InstanceOf[PartitionSettings] | None, yaml_resolver(PartitionSettings, "partitions")
    ] = Field(
        default=None,
        description="Partitions of the records, for a project that is too large for one run. "
        "Defaults to none.",
    )
    storage: Annotated[
        InstanceOf[StorageModel] | None,
        dg.Resolver(resolve_texts, model_field_type=StorageModel | None),
    ] = Field(
        default=None,
        description="Where the tables are stored. Defaults to Parquet files in the storage "
        "directory of the Dagster instance.",
    )
    schedule: Annotated[
        InstanceOf[ScheduleSettings] | None, yaml_resolver(ScheduleSettings, "schedule")
    ] = Field(
        default=None, description="When all tables are materialized. Defaults to no schedule."
    )
    change_sensor: Annotated[
        bool | InstanceOf[ChangeSensorSettings],
        yaml_resolver(
            ChangeSensorSettings,
            "change_sensor",
            bool | option_model(ChangeSensorSettings, "change_sensor"),
        ),
    ] = Field(
        default=False,
        description="True, or settings, for a sensor that requests the tables that changed in "
        "REDCap. Defaults to no sensor.",
    )
    freshness: Annotated[
        InstanceOf[FreshnessSettings] | None, yaml_resolver(FreshnessSettings, "freshness")
    ] = Field(default=None, description="How old the tables may be. Defaults to no policy.")
    automation: Annotated[
        InstanceOf[dg.AutomationCondition[Any]] | Literal["on_change"] | None,
        dg.Resolver(resolve_automation, model_field_type=Literal["on_change"] | OnCronModel | None),
    ] = Field(
        default=None,
        description="Automation condition of all assets: on_change, or on_cron for times of a "
        "schedule. Defaults to none.",
    )
    op: Annotated[InstanceOf[OpSettings] | None, yaml_resolver(OpSettings, "op")] = Field(
        default=None,
        description="How Dagster runs the two ops, such as their pool. Defaults to the default of "
        "each setting.",
    )
    translation: Translation | None = Field(
        default=None,
        description="Attributes of the assets, such as group_name, owners, tags and key_prefix, "
        "with {{ props... }} of each table. Defaults to none.",
    )
    demo: Annotated[InstanceOf[DemoSettings] | None, yaml_resolver(DemoSettings, "demo")] = Field(
        default=None,
        description="Made-up records, which take the place of the project's own where the "
        "environment variable REDCAP_DEMO is set. Defaults to none.",
    )
    queries: Annotated[
        bool | InstanceOf[QuerySettings],
        yaml_resolver(QuerySettings, "queries", bool | option_model(QuerySettings, "queries")),
    ] = Field(
        default=False,
        description="True, or settings, for lists of queries: what to mend, with links, and its "
        "history. Defaults to none.",
    )
    status: bool = Field(
        default=False,
        description="Whether there is a table of the status of each form. Defaults to false.",
    )
    max_age: str | None = Field(
        default=None,
        json_schema_extra=written_as(SPAN),
        description="Age from which dagster dev fetches the structure again, such as 12h or 7d. "
        "Defaults to never.",
    )
    strict: bool = Field(
        default=False,
        description="Whether a project without assets is an error, because its structure is "
        "missing or does not fit the YAML. REDCAP_DAGSTER_STRICT=1 in the environment sets it for "
        "all projects. Defaults to False: a warning, and the other projects load.",
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
            kind = type(token).__name__
            raise ValueError(f"token: it is of type {kind}, not a text. Put it into quotes.")
        return token

    @field_validator("max_age")
    @classmethod
    def _check_max_age(cls, max_age: str | None) -> str | None:
        if max_age is not None:
            time_span(max_age)
        return max_age

    @classmethod
    def model(cls) -> type[BaseModel]:
        """Return the model of the YAML, whose error for a misspelled option suggests the name."""
        return _described_model(cls, super().model())

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Self:
        """Return the component, or raise an error without lines of YAML, which hold a token."""
        component: Self = super().resolve_from_model(without_source(context), model)
        return component

    @classmethod
    def get_form_config(cls) -> dg.ComponentFormConfig:
        """Return how Dagster's forms show the component."""
        return dg.ComponentFormConfig(label="REDCap project", editable=True)

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """Return the place of the state, which has the project's name in its key."""
        return DefsStateConfig.from_args(
            # This class decides by itself when to fetch; see `build_defs`.
            self.defs_state.model_copy(update={"refresh_if_dev": False}),
            default_key=f"{type(self).__name__}[{self.name}]",
        )

    def write_state_to_path(self, state_path: Path) -> None:
        """Fetch the structure, and replace the old state only if that succeeds.

        Raises:
            ProjectNotLoadedError: The structure cannot be fetched.
        """
        try:
            state = fetch_structure(self.name, self._resource())
        except ProjectNotLoadedError as error:
            if self.defs_state.management_type is not _IN_MEMORY:
                raise
            logger.warning("%s", error)
            state = ""  # Dagster fetches this at each load, and an error would stop all projects
        write_state(state_path, state)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the definitions, after fetching a state that is missing or too old.

        Raises:
            ProjectNotLoadedError: The environment asks for a demo, and the YAML has none.
        """
        if is_demo() and self.demo is None:
            raise ProjectNotLoadedError(explain_missing_demo(self.name))
        if is_demo() and self.demo is not None and self.demo.structure is not None:
            return self._build_demo(self.demo.structure, context.project_root)
        if (
            self.defs_state.refresh_if_dev
            and self.defs_state.management_type is not _IN_MEMORY
            and using_dagster_dev()
            and DefinitionsLoadContext.get().load_type is DefinitionsLoadType.INITIALIZATION
            and is_due(self.defs_state_config, context.project_root, self.max_age)
        ):
            self._refresh(context)
        return super().build_defs(context)

    def build_defs_from_state(
        self, context: dg.ComponentLoadContext, state_path: Path | None
    ) -> dg.Definitions:
        """Return the definitions, offline; none without a structure that matches the YAML.

        Raises:
            ProjectNotLoadedError: There are none, and ``strict`` is true.
        """
        try:
            project = read_state(state_path)
        except StructureError as error:
            return self._without_assets(str(error))
        try:
            return self._definitions(project, context.project_root)
        except StructureError as error:
            return self._without_assets(
                f"its YAML and its structure do not match. {error} Change the YAML, or fetch the "
                "structure again: dg utils refresh-defs-state"
            )

    def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
        """Return the spec of a table's asset; see `DagsterREDCapTranslator.get_asset_spec`."""
        spec = DagsterREDCapTranslator().get_asset_spec(props)
        return spec if self.translation is None else self.translation(spec, props)

    def get_check_specs(
        self, props: REDCapTableProps, spec: dg.AssetSpec
    ) -> Sequence[dg.AssetCheckSpec]:
        """Return the checks of a table; see `DagsterREDCapTranslator.get_check_specs`."""
        return DagsterREDCapTranslator().get_check_specs(props, spec)

    def _resource(self) -> REDCapResource:
        settings = self.client or ClientSettings()
        return REDCapResource(url=self.url, token=self.token, **settings.model_dump())

    def _definitions(self, project: REDCapProject, root: Path) -> dg.Definitions:
        return build_redcap_definitions(
            name=self.name,
            redcap=self._resource(),
            project=project,
            instruments=match_instruments(project, self.instruments),
            cleaning=self.cleaning,
            checks=resolve_rules_path(self.checks, root),
            partitions=self.partitions,
            storage=None if self.storage is None else self.storage.storage(root),
            schedule=self.schedule,
            change_sensor=self.change_sensor,
            freshness=self.freshness,
            automation=self.automation,
            op=self.op,
            # The structure was read from the file already, if there is one.
            demo=None if self.demo is None else replace(self.demo, structure=None),
            translator=_ComponentTranslator(self),
            queries=resolve_query_paths(self.queries, root),
            status=self.status,
        )

    def _build_demo(self, structure: str, root: Path) -> dg.Definitions:
        """Return the definitions of a demo whose structure is a file: no state is needed."""
        try:
            return self._definitions(read_demo_structure(root / structure), root)
        except StructureError as error:
            return self._without_assets(f"{error} Change the YAML, or the file.")

    def _without_assets(self, cause: str) -> dg.Definitions:
        return without_assets(
            f"REDCap project {self.name}: no assets, because {cause}", strict=self.strict
        )

    def _refresh(self, context: dg.ComponentLoadContext) -> None:
        """Fetch the state; if that fails, go on with what there is, and say so."""
        projects = context.component_tree.get_all_components(REDCapProjectComponent)
        names = [project.name for project in projects]
        position = (
            f"{names.index(self.name) + 1} of {len(names)}" if self.name in names else "1 of 1"
        )
        # A warning, as Dagster's commands show no other message of a library.
        logger.warning(
            "REDCap project %s (%s): its structure is being fetched.", self.name, position
        )
        try:
            version = asyncio.run(self.refresh_state(context.project_root))
        except ProjectNotLoadedError as error:
            logger.warning("%s", error)
        except Exception as error:  # noqa: BLE001 a full disk must not stop a code location
            logger.warning("REDCap project %s: structure not fetched. %s", self.name, reason(error))
        else:
            DefinitionsLoadContext.get().add_defs_state_info(self.defs_state_config.key, version)


class _ComponentTranslator(DagsterREDCapTranslator):
    """The methods of a component, which a subclass of it may have overridden."""

    def __init__(self, component: REDCapProjectComponent) -> None:
        super().__init__()
        self._component = component

    def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
        return self._component.get_asset_spec(props)

    def get_check_specs(
        self, props: REDCapTableProps, spec: dg.AssetSpec
    ) -> Sequence[dg.AssetCheckSpec]:
        return self._component.get_check_specs(props, spec)


@cache
def _described_model(component: type[BaseModel], model: type[BaseModel]) -> type[BaseModel]:
    """Return a model of YAML with the component's texts, which Dagster drops beside a default."""
    described = create_model(model.__name__, __base__=(SecretiveModel, OptionModel, model))
    for name, field in described.model_fields.items():
        field.description = component.model_fields[name].description or field.description
    described.model_rebuild(force=True)
    return described
