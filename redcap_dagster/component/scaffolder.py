"""The command ``dg scaffold defs redcap_dagster.REDCapProjectComponent NAME``."""

import re
from typing import Final

import dagster as dg
from pydantic import BaseModel, Field

_COMMENTS: Final = """\
  # Where the tables are stored. Without this option: Parquet files in the storage
  # directory of the Dagster instance.
  # storage:
  #   duckdb: {name}.duckdb # from the root of the Dagster project

  # When all tables are materialized. Without this option: when you do it.
  # schedule:
  #   cron: "0 3 * * *" # every night at 3:00
  #   timezone: UTC
  #   default_status: RUNNING # without it, switch it on in the UI, under Automation
"""


class ScaffoldParams(BaseModel):
    """The options of the command."""

    url: str | None = Field(default=None, description="URL of the API.")
    token_env: str | None = Field(
        default=None, description="Name of the environment variable that holds the token."
    )


class REDCapProjectScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes the YAML of one project, named like its folder."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """Return the options of the command."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Write ``defs.yaml``: name, URL, token and groups, and comments on what is often added."""
        folder = request.target_path.parent if request.append else request.target_path
        name = re.sub(r"[^a-z0-9_]", "_", folder.name.lower()).lstrip("_0123456789") or "redcap"
        variable = request.params.token_env or "REDCAP_API_TOKEN"
        dg.scaffold_component(
            request,
            {
                "name": name,
                "url": request.params.url or "https://redcap.example.edu/api/",
                "token": f"{{{{ env.{variable} }}}}",
                "translation": {"group_name": "{{ props.name }}_{{ props.layer }}"},
            },
        )
        if request.scaffold_format == "yaml":
            file = request.target_path if request.append else request.target_path / "defs.yaml"
            with file.open("a", encoding="utf-8") as lines:
                lines.write(_COMMENTS.format(name=name))
