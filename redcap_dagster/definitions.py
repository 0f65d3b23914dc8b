"""build_redcap_definitions: assets, resources, schedule and sensor of one project."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from redcap_dagster.assets import build_assets
from redcap_dagster.automation import ChangeSensorSettings, FreshnessSettings, ScheduleSettings
from redcap_dagster.checks import CheckRules, QuerySettings
from redcap_dagster.dagster_private import PartialResource
from redcap_dagster.demo import (
    DemoSettings,
    demo_resource,
    explain_missing_demo,
    is_demo,
    read_demo_structure,
    tag_demo,
)
from redcap_dagster.execution.op_settings import OpSettings
from redcap_dagster.failures import ProjectNotLoadedError
from redcap_dagster.fetched_structure import build_fetched_definitions
from redcap_dagster.io_managers import ParquetTableIOManager, Storage, StorageSettings
from redcap_dagster.options import refuse_mistakes
from redcap_dagster.partitions import PartitionSettings
from redcap_dagster.project import REDCapProject, from_xml
from redcap_dagster.resource import REDCapResource
from redcap_dagster.sensors import build_redcap_change_sensor
from redcap_dagster.specs.asset_specs import check_name
from redcap_dagster.specs.spec_options import spec_options
from redcap_dagster.specs.translator import DagsterREDCapTranslator, REDCapTableProps
from redcap_dagster.tables import CleaningRules


@refuse_mistakes
def build_redcap_definitions(
    *,
    name: str,
    redcap: REDCapResource | PartialResource[Any],
    project: REDCapProject | str | Path | None = None,
    instruments: Sequence[str] | None = None,
    cleaning: CleaningRules | None = None,
    checks: CheckRules | None = None,
    partitions: PartitionSettings | None = None,
    storage: Storage | None = None,
    schedule: ScheduleSettings | None = None,
    change_sensor: ChangeSensorSettings | bool = False,
    freshness: FreshnessSettings | dg.FreshnessPolicy | None = None,
    automation: dg.AutomationCondition[Any] | Literal["on_change"] | None = None,
    op: OpSettings | None = None,
    translator: DagsterREDCapTranslator | None = None,
    queries: QuerySettings | bool = False,
    status: bool = False,
    demo: DemoSettings | None = None,
    strict: bool = False,
) -> dg.Definitions:
    """Return the definitions of one REDCap project: its assets and the resources they need.

    Each option has the same name, and the same fields, in the YAML of `REDCapProjectComponent`,
    where ``translator`` is ``translation``.

    Args:
        name: Name of the project in Dagster: first part of all keys and groups. Lower case letters,
            digits and underscores.
        redcap: The project's URL and token. If ``REDCapResource.configure_at_launch()`` leaves them
            to the launch of a run, ``project`` is required, and ``change_sensor`` cannot be used.
        project: Structure, or path of a project XML. Defaults to the structure that REDCap returns
            when the code location loads; the processes of its runs reuse it. Call this function
            inside a function that is decorated with `dagster.definitions`. Otherwise, some of
            Dagster's commands do not find the definitions, or fetch the structure again in each
            process.
        instruments: Names of the instruments that get assets. Defaults to all.
        cleaning: How records become clean tables. Defaults to `CleaningRules()`.
        checks: Settings of the checks. Defaults to `CheckRules()`.
        partitions: Partitions of the records, for a project that is too large for one run. Defaults
            to none.
        storage: Where the tables are stored: an IO manager, or `StorageSettings` for a resource of
            your own. Defaults to Parquet files in the storage directory of the Dagster instance,
            ``$DAGSTER_HOME/storage/redcap``.
        schedule: When all tables are materialized. Defaults to no schedule.
        change_sensor: True or `ChangeSensorSettings` for a sensor that requests the tables that
            changed in REDCap; see `build_redcap_change_sensor`. Defaults to no sensor.
        freshness: How old the tables may be: `FreshnessSettings`, or a policy of Dagster's.
            Defaults to no policy.
        automation: Automation condition of all assets, or ``on_change``; see `on_change`. Defaults
            to none.
        op: How Dagster runs the two ops, such as their pool, tags and retry policy. Defaults to
            `OpSettings()`.
        translator: Names and attributes of the assets: group, owners, tags, key prefix. Defaults to
            `DagsterREDCapTranslator()`.
        queries: True or `QuerySettings` for lists of queries: what to mend, with links, and its
            history. Defaults to False.
        status: Whether there is a table of the status of each form. Defaults to False.
        demo: Made-up records, which take the place of the project's own where the environment
            variable ``REDCAP_DEMO`` is set; see `DemoSettings`. Defaults to none.
        strict: Whether it is an error if the structure cannot be fetched, or does not fit the
            options. The environment variable ``REDCAP_DAGSTER_STRICT=1`` sets it for all projects.
            Defaults to False: a warning names the project, which has no assets, and the other
            projects of the code location load.

    Returns:
        Definitions that can be merged with any others.

    Raises:
        ProjectNotLoadedError: ``strict`` is true, and the project has no assets; or
            ``REDCAP_DEMO`` is set without ``demo``.
        StructureError: The given ``project`` does not have an instrument or a field that an option
            names.
        TypeError: An option is misspelled.
        ValueError: The name cannot be used, the file is not a project XML, or ``redcap`` is
            configured at launch where it is needed earlier.

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
            "change_sensor: the sensor sends requests to REDCap outside of runs, but redcap is "
            "configured at launch. Give a REDCapResource with url and token, which may be EnvVar."
        )
    if isinstance(redcap, REDCapResource) and redcap.holds_token:
        warnings.warn(
            "The REDCap token is written out in the definitions, so Dagster's snapshots of them "
            "contain it. Give it as dagster.EnvVar.",
            stacklevel=3,
        )

    url = _written_out_url(redcap)
    if is_demo():
        if demo is None:
            raise ProjectNotLoadedError(explain_missing_demo(name))
        name, url, change_sensor = f"demo_{name}", "", False  # the sandbox is there in runs only
        translator = _DemoTranslator(translator or DagsterREDCapTranslator())
        project = read_demo_structure(demo.structure) if demo.structure else project
        queries = queries.for_demo() if isinstance(queries, QuerySettings) else queries

    resources: dict[str, Any] = {}
    if not isinstance(storage, StorageSettings):
        storage = storage or ParquetTableIOManager()
        resources[f"{name}__io_manager"] = storage
    options = spec_options(
        partitions, storage, freshness, automation, translator, queries, status=status, url=url
    )

    def build(structure: REDCapProject) -> dg.Definitions:
        assets = build_assets(
            name,
            structure,
            instruments,
            cleaning,
            checks or CheckRules(),
            op or OpSettings(),
            options,
        )
        served: Any = redcap
        if demo is not None and is_demo():
            served = demo_resource(name, structure, demo)
        return dg.Definitions(
            assets=assets,
            resources={f"{name}__redcap": served, **resources},
            schedules=[] if schedule is None else [schedule.definition(name, assets)],
            sensors=[build_sensor(structure, assets)] if change_sensor else [],
        )

    def build_sensor(
        structure: REDCapProject, assets: Sequence[dg.AssetsDefinition]
    ) -> dg.SensorDefinition:
        settings = ChangeSensorSettings() if isinstance(change_sensor, bool) else change_sensor
        return build_redcap_change_sensor(
            name=name,
            project=structure,
            assets=assets,
            every=settings.every,
            default_status=settings.default_status,
        )

    if project is None:
        if not isinstance(redcap, REDCapResource):
            raise ValueError(
                "project: redcap is configured at launch, so the structure cannot be fetched when "
                "definitions load. Give the structure as project."
            )
        return build_fetched_definitions(name, redcap, build, strict=strict)
    if not isinstance(project, REDCapProject):
        project = from_xml(project)
    return build(project)


class _DemoTranslator(DagsterREDCapTranslator):
    """A translator whose assets have the tag of a demo in addition."""

    def __init__(self, translator: DagsterREDCapTranslator) -> None:
        super().__init__()
        self._translator = translator

    def get_asset_spec(self, props: REDCapTableProps) -> dg.AssetSpec:
        return tag_demo(self._translator.get_asset_spec(props))

    def get_check_specs(
        self, props: REDCapTableProps, spec: dg.AssetSpec
    ) -> Sequence[dg.AssetCheckSpec]:
        return self._translator.get_check_specs(props, spec)


def _written_out_url(redcap: REDCapResource | PartialResource[Any]) -> str:
    """Return the URL for links; blank where only the environment has it."""
    if not isinstance(redcap, REDCapResource) or isinstance(redcap.url, dg.EnvVar):
        return ""
    return redcap.url
