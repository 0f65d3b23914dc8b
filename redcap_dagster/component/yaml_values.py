"""Values with a syntax of their own in YAML: automation, environment variables, instruments."""

import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field

from redcap_dagster.automation import check_cron
from redcap_dagster.component.secrecy import VARIABLE, check_token
from redcap_dagster.component.yaml_options import OptionModel, check_is_mapping
from redcap_dagster.options import shown_name
from redcap_dagster.project import REDCapProject, StructureError


class OnCronModel(OptionModel):
    """A condition: materialize each table after the times of a cron expression, upstream first."""

    model_config = ConfigDict(title="automation")

    on_cron: str = Field(description="Cron expression.", examples=["0 3 * * *"])
    timezone: str = Field(
        default="UTC",
        description="Time zone of the expression, such as Europe/Berlin. Defaults to UTC.",
    )


def resolve_automation(context: dg.ResolutionContext, given: Any) -> Any:
    """Return the automation condition that YAML gives."""
    if isinstance(given, OnCronModel):
        given = resolve_texts(context, given)
        check_cron(given.on_cron, given.timezone)
        return dg.AutomationCondition.on_cron(given.on_cron, given.timezone)
    return given


def resolve_token(_: dg.ResolutionContext, given: Any) -> Any:
    """Return ``{{ env.NAME }}`` as an `EnvVar`, so that YAML loads without the variable.

    Another value is returned unchanged, of any type: Dagster's errors would show it.
    """
    check_token(given)
    match = VARIABLE.fullmatch(given.strip()) if isinstance(given, str) else None
    return dg.EnvVar(match[1]) if match else given


def resolve_url(context: dg.ResolutionContext, given: Any) -> Any:
    """Return ``{{ env.NAME }}`` as an `EnvVar`, and a text with other templates resolved.

    Raises:
        ValueError: Such a template uses an environment variable that is not set.
    """
    if not isinstance(given, str) or "{{" not in given:
        return given
    if match := VARIABLE.fullmatch(given.strip()):
        return dg.EnvVar(match[1])
    for name in re.findall(r"\benv\.(\w+)", given):
        if name not in os.environ:  # which would become the text None
            raise ValueError(f"url: the environment variable {name} is not set. Export it.")
    return context.resolve_value(given, as_type=str)


def resolve_texts(context: dg.ResolutionContext, given: Any) -> Any:
    """Return a model whose texts have their templates resolved."""
    check_is_mapping(context, given)
    if not isinstance(given, BaseModel):
        return given
    texts = {
        name: context.at_path(name).resolve_value(value)
        for name in given.model_fields_set
        if "{{" in str(value := getattr(given, name))
    }
    return type(given).model_validate({**given.model_dump(exclude_unset=True), **texts})


def match_instruments(project: REDCapProject, patterns: Sequence[str] | None) -> list[str] | None:
    """Return the instruments that names or patterns match; None for all.

    Raises:
        StructureError: A name or pattern matches none.
    """
    if patterns is None:
        return None
    names = [form.instrument_name for form in project.instruments]
    unused = [shown_name(p) for p in patterns if not any(fnmatchcase(name, p) for name in names)]
    if unused:
        raise StructureError(
            f"instruments: {unused} match no instrument of the project, which has {names}. Correct "
            "them, or leave them out."
        )
    return [name for name in names if any(fnmatchcase(name, p) for p in patterns)]
