"""REDCapProjectComponent: a project from YAML, whose structure is the component's state."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig

from redcap_dagster.api import ClientSettings
from redcap_dagster.component.paths import resolve_query_paths, resolve_rules_path
from redcap_dagster.component.project_options import ProjectOptions
from redcap_dagster.component.scaffolder import REDCapProjectScaffolder
from redcap_dagster.component.state import is_due, read_state, write_state
from redcap_dagster.component.yaml_values import match_instruments
from redcap_dagster.dagster_private import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    DefsStateManagementType,
    using_dagster_dev,
)
from redcap_dagster.definitions import build_redcap_definitions
from redcap_dagster.demo import (
    explain_missing_demo,
    is_demo,
    read_demo_structure,
)
from redcap_dagster.failures import ProjectNotLoadedError, reason, without_assets
from redcap_dagster.fetched_structure import fetch_structure
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.resource import REDCapResource
from redcap_dagster.specs.translator import DagsterREDCapTranslator, REDCapTableProps

logger = logging.getLogger("redcap_dagster")

_IN_MEMORY = DefsStateManagementType.LEGACY_CODE_SERVER_SNAPSHOTS
"""Dagster fetches this at every load by itself."""


@dg.scaffold_with(REDCapProjectScaffolder)
class REDCapProjectComponent(ProjectOptions, dg.StateBackedComponent):
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

    defs_state: ResolvedDefsStateConfig = DefsStateConfigArgs.local_filesystem()

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
