"""Everything for one project, put together."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from redcap_dagster.assets import build_redcap_assets_definitions
from redcap_dagster.automation import REDCapChangeSensor, REDCapSchedule
from redcap_dagster.checks import CheckRules
from redcap_dagster.dagster_private import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    PartialResource,
    StateBackedDefinitionsLoader,
)
from redcap_dagster.io_managers import DuckDBTableIOManager, ParquetTableIOManager
from redcap_dagster.project import REDCapProject, from_xml
from redcap_dagster.resource import REDCapResource
from redcap_dagster.sensors import build_redcap_change_sensor
from redcap_dagster.specs.asset_specs import check_name
from redcap_dagster.specs.translator import DagsterREDCapTranslator
from redcap_dagster.tables import CleaningRules


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
    change_sensor: REDCapChangeSensor | bool = False,
    checks: CheckRules | None = None,
    buckets: int | None = None,
    partitions_def: dg.PartitionsDefinition[str] | None = None,
    allow_shrink: bool = False,
    preview_rows: int = 0,
    key_prefix: str | Sequence[str] | None = None,
    group_name: str | None = None,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
    automation_condition: dg.AutomationCondition[Any] | None = None,
    io_manager_key: str | None = None,
    url: str | None = None,
    storage_kind: str | None = None,
    op_name: str | None = None,
    op_description: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    pool: str | None = None,
    backfill_policy: dg.BackfillPolicy | None = None,
    retry_policy: dg.RetryPolicy | None = None,
) -> dg.Definitions:
    """Build the definitions of one REDCap project: its assets and the resources they need.

    Args:
        name: What the project is called in Dagster: first part of all keys and group name; lower
            case letters, digits and underscores.
        redcap: Where the project is. Where ``REDCapResource.configure_at_launch()`` leaves it to
            the launch of a run, give the structure, and no sensor.
        project: The structure, or the path of a project XML. By default it is fetched when the
            code location loads; the processes of its runs reuse it. Call this function inside of
            one that is decorated with `dagster.definitions`: definitions that are made while
            their module is imported are hidden from some of Dagster's commands, whose processes
            then fetch the structure again.
        instruments: The forms to have assets of; all by default.
        rules: How records become clean tables.
        translator: Makes the specs; override it to change them.
        io_manager: Where tables are kept; by default Parquet files under the storage directory of
            the Dagster instance (``$DAGSTER_HOME/storage/redcap``).
        schedule: When all tables are made anew; by default there is no schedule.
        change_sensor: Whether, or how often, a sensor asks REDCap what changed, as
            `build_redcap_change_sensor` makes it.
        checks: What is changed about the checks.
        buckets: Spreads the records over that many partitions, each exported, cleaned and stored
            by itself; see `build_redcap_assets_definitions`.
        partitions_def: The same, as `redcap_dagster.partitions.buckets` gives it for a number.
        allow_shrink: Lets tables be replaced although much of them is gone, or hidden.
        preview_rows: How many rows each table of an instrument shows in Dagster, which then keeps
            people's health data in its own database; none by default.
        key_prefix: Comes before all keys.
        group_name: Instead of the project's name.
        owners: Of all assets, besides those that the translator gives.
        tags: Of all assets, likewise.
        freshness_policy: Of all assets; see `fresh_within`.
        automation_condition: Of all assets; see `on_change`.
        io_manager_key: A resource of yours that keeps the tables, instead of `io_manager`.
        url: The address of the API, for links to the project; by default that of `redcap`, where
            it is written out.
        storage_kind: What Dagster shows as the kind of storage; by default that of `io_manager`,
            where it is one of this package.
        op_name: The op of records and clean tables, instead of ``NAME__tables``; that of metadata
            is then called ``OP_NAME__metadata``.
        op_description: Of the two ops.
        op_tags: Of the two ops.
        pool: The pool whose limit the two ops share.
        backfill_policy: Of the two ops.
        retry_policy: When an op fails as a whole and trying again may help.

    Returns:
        Definitions that can be merged with any others.

    Raises:
        REDCapError: The structure cannot be fetched. So that one project's trouble does not stop
            the others of a code location, use `REDCapProjectComponent`, or give the structure.
        StructureError: The project has no such form, or the rules name a field or form that it
            lacks.
        ValueError: The name or the partitions cannot be used, the file is no project XML, or two
            places are given for the tables; the structure is to be fetched and the variable of the
            token is not set; or the resource is not there yet, for the structure or a sensor.

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
    if change_sensor and not isinstance(redcap, REDCapResource):
        raise ValueError(
            "change_sensor: a sensor asks REDCap outside of runs, and redcap is configured at "
            "their launch. Give a REDCapResource with url and token, which may be EnvVar."
        )
    if isinstance(redcap, REDCapResource) and redcap.holds_token:
        warnings.warn(
            "The REDCap token is written out in the definitions, so that Dagster's snapshots of "
            "them hold it. Give it as dagster.EnvVar.",
            stacklevel=2,
        )

    resources: dict[str, Any] = {f"{name}__redcap": redcap}
    if io_manager_key is None:
        io_manager = io_manager or ParquetTableIOManager()
        resources[f"{name}__io_manager"] = io_manager
    elif io_manager is not None:
        raise ValueError("Give io_manager or io_manager_key, not both: one keeps the tables.")

    def build(structure: REDCapProject) -> dg.Definitions:
        assets = build_redcap_assets_definitions(
            name=name,
            project=structure,
            instruments=instruments,
            rules=rules,
            translator=translator,
            checks=checks,
            buckets=buckets,
            partitions_def=partitions_def,
            allow_shrink=allow_shrink,
            preview_rows=preview_rows,
            key_prefix=key_prefix,
            group_name=group_name,
            owners=owners,
            tags=tags,
            freshness_policy=freshness_policy,
            automation_condition=automation_condition,
            io_manager_key=io_manager_key,
            url=url or _address(redcap),
            storage_kind=storage_kind or _kind(io_manager),
            op_name=op_name,
            op_description=op_description,
            op_tags=op_tags,
            pool=pool,
            backfill_policy=backfill_policy,
            retry_policy=retry_policy,
        )
        return dg.Definitions(
            assets=assets,
            resources=resources,
            schedules=[] if schedule is None else [schedule.definition(name, assets)],
            sensors=[sensor(structure, assets)] if change_sensor else [],
        )

    def sensor(
        structure: REDCapProject, assets: Sequence[dg.AssetsDefinition]
    ) -> dg.SensorDefinition:
        asked = REDCapChangeSensor() if isinstance(change_sensor, bool) else change_sensor
        return build_redcap_change_sensor(
            name=name,
            project=structure,
            assets=assets,
            every=asked.every,
            default_status=asked.default_status,
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
        project = from_xml(project)
    return build(project)


def _address(redcap: REDCapResource | PartialResource[Any]) -> str | None:
    """Give the address for links, where it is written out."""
    if not isinstance(redcap, REDCapResource) or isinstance(redcap.url, dg.EnvVar):
        return None
    return redcap.url


def _kind(io_manager: dg.ConfigurableIOManager | None) -> str | None:
    """Name the kind of storage, where it is one of this package."""
    if isinstance(io_manager, DuckDBTableIOManager):
        return "duckdb"
    return "parquet" if isinstance(io_manager, ParquetTableIOManager) else None


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
