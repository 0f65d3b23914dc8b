"""The command ``dg scaffold defs redcap_dagster.REDCapProjectComponent NAME``."""

import re

import dagster as dg
from pydantic import BaseModel, Field


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
        """Write ``defs.yaml``, with name, URL and token of the project."""
        name = re.sub(r"[^a-z0-9_]", "_", request.target_path.name.lower()).lstrip("_0123456789")
        variable = request.params.token_env or "REDCAP_API_TOKEN"
        dg.scaffold_component(
            request,
            {
                "name": name or "redcap",
                "url": request.params.url or "https://redcap.example.edu/api/",
                "token": f"{{{{ env.{variable} }}}}",
            },
        )
