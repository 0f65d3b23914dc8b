"""Everything for one project, put together."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import dagster as dg

from redcap_dagster.assets import AssetOptions, build_redcap_assets_definitions
from redcap_dagster.automation import REDCapSchedule
from redcap_dagster.dagster_private import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    PartialResource,
    StateBackedDefinitionsLoader,
)
from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager
from redcap_dagster.project import REDCapProject
from redcap_dagster.resource import REDCapResource
from redcap_dagster.sensors import build_redcap_change_sensor
from redcap_dagster.specs import check_name
from redcap_dagster.tables import CleaningRules
from redcap_dagster.translator import DagsterREDCapTranslator


def build_redcap_definitions(
    *,
    name: str,
    redcap: REDCapResource | PartialResource[Any],
    project: REDCapProject | str | Path | None = None,
    instruments: Sequence[str] | None = None,
    rules: CleaningRules | None = None,
    translator: DagsterREDCapTranslator | None = None,
    io_manager: dg.ConfigurableIOManager | None = None,
    schedule: REDCapSchedule | None = None,
    change_sensor: bool = False,
    **options: Unpack[AssetOptions],
) -> dg.Definitions:
    """Build the definitions of one REDCap project: its assets and the resources they need.

    Args:
        name: What the project is called in Dagster: first part of all keys and group name; lower
            case letters, digits and underscores.
        redcap: Where the project is. Where ``REDCapResource.configure_at_launch()`` leaves it to
            the launch of a run, give the structure.
        project: The structure, or the path of a project XML. By default it is fetched when the
            code location loads; the processes of its runs reuse it. Call this function inside of
            one that is decorated with `dagster.definitions`: definitions that are made while
            their module is imported are hidden from some of Dagster's commands, whose processes
            then fetch the structure again.
        instruments: The forms to have assets of; all by default.
        rules: How records become clean tables.
        translator: Makes the specs; override it to change them.
        io_manager: Where tables are kept; by default Parquet files under the storage directory of
            the Dagster instance (``$DAGSTER_HOME/storage/redcap``). With the option
            ``io_manager_key``, tables go to a resource of yours instead.
        schedule: When all tables are made anew; by default there is no schedule.
        change_sensor: Whether there is a sensor that asks REDCap every five minutes what changed,
            as `build_redcap_change_sensor` makes it.
        **options: See `AssetOptions`.

    Returns:
        Definitions that can be merged with any others.

    Raises:
        REDCapError: The structure cannot be fetched. So that one project's trouble does not stop
            the others of a code location, use `REDCapProjectComponent`, or give the structure.
        StructureError: The project has no such form, or the rules name a field or form that it
            lacks.
        ValueError: The name cannot be used, the file is no project XML, or the structure is to be
            fetched and the variable of the token is not set, or the resource is not there yet; or
            two places are given for the tables.

    Example:
        >>> defs = build_redcap_definitions(
        ...     name="trial",
        ...     redcap=REDCapResource(
        ...         url="https://redcap.example.edu/api/", token=dg.EnvVar("REDCAP_API_TOKEN")),
        ...     project=REDCapProject.from_exports(
        ...         metadata=[{"field_name": "record_id", "form_name": "visit"}]))
        >>> [key.to_user_string() for key in sorted(defs.resolve_all_asset_keys())]
        ... # doctest: +NORMALIZE_WHITESPACE
        ['trial/clean/visit', 'trial/metadata/choices', 'trial/metadata/fields',
         'trial/metadata/instruments', 'trial/metadata/project', 'trial/records/_census',
         'trial/records/visit']
    """
    check_name(name)
    if isinstance(redcap, REDCapResource) and redcap.holds_token:
        warnings.warn(
            "The REDCap token is written out in the definitions, so that Dagster's snapshots of "
            "them hold it. Give it as dagster.EnvVar.",
            stacklevel=2,
        )

    resources: dict[str, Any] = {f"{name}__redcap": redcap}
    if "io_manager_key" in options:
        if io_manager is not None:
            raise ValueError("Give io_manager or io_manager_key, not both: one keeps the tables.")
    else:
        resources[f"{name}__io_manager"] = io_manager or ParquetTableIOManager()
    shown: AssetOptions = {**_told_by(resources), **options}

    def build(structure: REDCapProject) -> dg.Definitions:
        assets = build_redcap_assets_definitions(
            name=name,
            project=structure,
            instruments=instruments,
            rules=rules,
            translator=translator,
            **shown,
        )
        sensor = build_redcap_change_sensor(name=name, project=structure, assets=assets)
        return dg.Definitions(
            assets=assets,
            resources=resources,
            schedules=[] if schedule is None else [schedule.definition(name, assets)],
            sensors=[sensor] if change_sensor else [],
        )

    if project is None:
        if not isinstance(redcap, REDCapResource):
            raise ValueError(
                "redcap is configured at launch, so that the structure cannot be fetched before. "
                "Give it as project."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)  # of how Dagster keeps the state
            return _Fetched(name, redcap, build).build_defs()
    if not isinstance(project, REDCapProject):
        project = REDCapProject.from_xml(project)
    return build(project)


def _told_by(resources: Mapping[str, Any]) -> AssetOptions:
    """Read off the resources what the catalog shows of them."""
    told: AssetOptions = {}
    for resource in resources.values():
        if isinstance(resource, REDCapResource) and not isinstance(resource.url, dg.EnvVar):
            told["url"] = resource.url
        if isinstance(resource, DuckDBTableIOManager):
            told["storage_kind"] = "duckdb"
        if isinstance(resource, ParquetTableIOManager):
            told["storage_kind"] = "parquet"
    return told


_fetched: dict[tuple[str, ...], str] = {}


class _Fetched(StateBackedDefinitionsLoader[str]):
    """Fetches the structure when a code location loads, and only then.

    Dagster keeps it, as JSON without record or token, and hands it to the processes of runs.
    """

    def __init__(
        self,
        name: str,
        redcap: REDCapResource,
        build: Callable[[REDCapProject], dg.Definitions],
    ) -> None:
        self._name = name
        self._redcap = redcap
        self._build = build

    @property
    def defs_key(self) -> str:
        return f"redcap_dagster/{self._name}"

    def fetch_state(self) -> str:
        # Dagster's own commands load a location several times over in one process, and tell only
        # the processes that they start what the first load has found.
        reloads = DefinitionsLoadContext.get().load_type is DefinitionsLoadType.RECONSTRUCTION
        token = self._redcap.token
        variable = token.env_var_name if isinstance(token, dg.EnvVar) else token
        project = (self.defs_key, repr(self._redcap), variable)
        if not (reloads and project in _fetched):
            _fetched[project] = self._redcap.get_client().export_project().to_json()
        return _fetched[project]

    def defs_from_state(self, state: str) -> dg.Definitions:
        return self._build(REDCapProject.from_json(state))
