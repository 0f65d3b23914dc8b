"""The options that the YAML of a project gives, each validated."""

from functools import cache
from typing import Annotated, Any, Literal, Self

import dagster as dg
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
from redcap_dagster.component.secrecy import SecretiveModel
from redcap_dagster.component.storage import StorageModel
from redcap_dagster.component.yaml_options import OptionModel, option_model, yaml_resolver
from redcap_dagster.component.yaml_values import (
    OnCronModel,
    resolve_automation,
    resolve_texts,
    resolve_token,
    resolve_url,
)
from redcap_dagster.dagster_private import (
    FormWidget,
    TranslationFn,
    TranslationFnResolver,
    without_source,
)
from redcap_dagster.demo import DemoSettings
from redcap_dagster.execution.op_settings import OpSettings
from redcap_dagster.options import written_as
from redcap_dagster.partitions import PartitionSettings
from redcap_dagster.specs.asset_specs import NAME, check_name
from redcap_dagster.specs.translator import REDCapTableProps
from redcap_dagster.tables import CleaningRules

Translation = Annotated[
    TranslationFn[REDCapTableProps],
    TranslationFnResolver[REDCapTableProps](lambda props: {"props": props}),
]


class ProjectOptions(dg.Model, dg.Resolvable):
    """The options of `REDCapProjectComponent`."""

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


@cache
def _described_model(component: type[BaseModel], model: type[BaseModel]) -> type[BaseModel]:
    """Return a model of YAML with the component's texts, which Dagster drops beside a default."""
    described = create_model(model.__name__, __base__=(SecretiveModel, OptionModel, model))
    for name, field in described.model_fields.items():
        field.description = component.model_fields[name].description or field.description
    described.model_rebuild(force=True)
    return described
