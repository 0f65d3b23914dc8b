"""The demo of a project: made-up records, which a sandbox serves for the time of a run."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import dagster as dg
from pydantic import Field

from redcap_dagster.api import REDCapClient
from redcap_dagster.options import option
from redcap_dagster.project import REDCapProject, StructureError

DEMO_VARIABLE: Final = "REDCAP_DEMO"
"""Environment variable that makes all projects demos, unless it is blank, 0 or false."""

DEMO_TAG: Final = "redcap/demo"
"""Tag of the assets whose rows are made up."""


@option
class DemoSettings:
    """Made-up records in place of the project's own.

    They are used only where the environment variable ``REDCAP_DEMO`` is set. The assets of a
    project ``trial`` are then those of ``demo_trial``, with the tag ``redcap/demo``.

    Attributes:
        records: Number of made-up records. Defaults to 500.
        seed: Number from which they are drawn: the same number makes the same records. Defaults
            to 1.
        errors: Share of the saved forms that get a wrong value. Defaults to 0, for none.
        structure: Path of a project XML, of JSON that `redcap-sandbox clone` wrote, or of a data
            dictionary as CSV. In YAML it is relative to the root of the Dagster project. Defaults
            to the structure of the project itself.
    """

    records: Annotated[int, Field(ge=0)] = 500
    seed: int = 1
    errors: Annotated[float, Field(ge=0, le=1)] = 0.0
    structure: str | None = None


def is_demo() -> bool:
    """Return whether projects are to be demos, by the environment."""
    return os.environ.get(DEMO_VARIABLE, "").lower() not in ("", "0", "false")


def explain_missing_demo(name: str) -> str:
    """Return the message for a project without `DemoSettings`."""
    return (
        f"REDCap project {name}: no assets, because the environment variable {DEMO_VARIABLE} is "
        "set, but the project has no option demo. Give it demo, with records: 500 for example, or "
        f"unset {DEMO_VARIABLE}."
    )


def read_demo_structure(path: str | Path) -> REDCapProject:
    """Return the structure of a file.

    Raises:
        StructureError: The file cannot be read as a structure.
    """
    from redcap_dagster.sandbox.synthesis.structure_files import (
        read_structure_file,
    )

    try:
        return read_structure_file(path)
    except ValueError as error:
        raise StructureError(f"demo: {error}") from None


def demo_resource(
    name: str, project: REDCapProject, settings: DemoSettings
) -> dg.ResourceDefinition:
    """Return the resource of a demo, which stands for a `REDCapResource`.

    Args:
        name: Name of the demo in Dagster.
        project: Structure of the project.
        settings: How records are made up.
    """

    @contextmanager
    def serve(_: dg.InitResourceContext) -> Iterator[DemoResource]:
        from redcap_dagster.sandbox import Sandbox
        from redcap_dagster.sandbox.synthesis import make_up_study

        study = make_up_study(
            project, records=settings.records, seed=settings.seed, errors=settings.errors
        )
        # The same in each process of a run, as data versions depend on it.
        token = hashlib.sha256(name.encode()).hexdigest()[:32].upper()
        with Sandbox() as sandbox:
            sandbox.add_study(study, token=token)
            yield DemoResource(sandbox.url, token, name)

    return dg.ResourceDefinition(serve, description="Made-up records, served for a run.")


class DemoResource:
    """The running sandbox of a demo."""

    def __init__(self, url: str, token: str, name: str) -> None:
        self._client = _DemoClient(url, token, name)

    def get_client(self) -> REDCapClient:
        """Return a client for the made-up records."""
        return self._client


class _DemoClient(REDCapClient):
    """A client whose URL names the demo, and not the port that its sandbox has in a process.

    So tables of made-up records are those of one project, and never those of a real one.
    """

    def __init__(self, url: str, token: str, name: str) -> None:
        self._name = name
        super().__init__(url, token)

    @property
    def url(self) -> str:
        """URL that stands for the demo, at which nothing is served."""
        return f"http://localhost/demo/{self._name}/api/"


def tag_demo(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Return the spec of an asset whose rows are made up, with its tag.

    Example:
        >>> tag_demo(dg.AssetSpec("visit")).tags
        {'redcap/demo': 'true'}
    """
    return spec.merge_attributes(tags={DEMO_TAG: "true"})
