"""Values with a syntax of their own in YAML: automation, environment variables, instruments."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import dagster as dg
from pydantic import ConfigDict, Field

from redcap_dagster.component.yaml_options import OptionModel
from redcap_dagster.project import REDCapProject, StructureError

_VARIABLE = re.compile(r"\{\{\s*env\.([A-Za-z_]\w*)\s*\}\}")


class OnCronModel(OptionModel):
    """A condition: materialize each table after the times of a cron expression, upstream first."""

    model_config = ConfigDict(title="automation")

    on_cron: str = Field(description="Cron expression.", examples=["0 3 * * *"])
    timezone: str = Field(
        default="UTC",
        description="Time zone of the expression, such as Europe/Berlin. Defaults to UTC.",
    )


def resolve_automation(_: dg.ResolutionContext, given: Any) -> Any:
    """Return the automation condition that YAML gives."""
    if isinstance(given, OnCronModel):
        return dg.AutomationCondition.on_cron(given.on_cron, given.timezone)
    return given


def resolve_lazily(context: dg.ResolutionContext, given: Any) -> Any:
    """Return ``{{ env.NAME }}`` as an `EnvVar`, so that YAML loads without the variable.

    A value without a template is returned unchanged, of any type: Dagster's errors would show it.
    """
    if not isinstance(given, str) or "{{" not in given:
        return given
    match = _VARIABLE.fullmatch(given.strip())
    return dg.EnvVar(match[1]) if match else context.resolve_value(given, as_type=str)


def match_instruments(project: REDCapProject, patterns: Sequence[str] | None) -> list[str] | None:
    """Return the instruments that names or patterns match; None for all.

    Raises:
        StructureError: A name or pattern matches none.
    """
    if patterns is None:
        return None
    names = [form.instrument_name for form in project.instruments]
    unused = [p for p in patterns if not any(fnmatchcase(name, p) for name in names)]
    if unused:
        raise StructureError(
            f"instruments: {unused} match no instrument of the project, which has {names}. Correct "
            "them, or leave them out."
        )
    return [name for name in names if any(fnmatchcase(name, p) for p in patterns)]
