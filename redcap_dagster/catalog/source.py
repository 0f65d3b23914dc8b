"""The project in REDCap that a table was made of, as its metadata and its storage tell it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import dagster as dg

from redcap_dagster.api.http.url import is_loopback
from redcap_dagster.io_managers.table_io_manager import SOURCE_ENTRY
from redcap_dagster.project import REDCapProject

_LONGEST_TITLE = 80
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ProjectSource:
    """The project that a table was made of: the URL of its API, its id, and its title.

    Attributes:
        url: URL of the API. Defaults to None: unknown.
        project_id: Id of the project. Defaults to None: unknown.
        title: Title of the project, for messages only. Defaults to blank.

    Example:
        >>> one = ProjectSource("https://redcap.example.edu/api/", 12, "Trial")
        >>> one.differs(ProjectSource("https://REDCap.example.edu:443/api", 12, "Renamed"))
        False
        >>> one.differs(ProjectSource("https://redcap.example.edu/api/", 34, "Trial"))
        True
        >>> str(one)
        'project "Trial" (id 12) at https://redcap.example.edu/api/'
    """

    url: str | None = None
    project_id: int | None = None
    title: str = ""

    @classmethod
    def of(cls, url: str, project: REDCapProject) -> Self:
        """Return the source of all tables that are made of a project.

        Args:
            url: URL of the API.
            project: Structure of the project.
        """
        title = " ".join(project.info.project_title.split())[:_LONGEST_TITLE]
        return cls(url, project.info.project_id, title)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the source that is stored with a table; unknown if the text is not that of one."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError):
            return cls()

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, dg.MetadataValue[Any]]) -> Self:
        """Return the source of a materialization."""
        if SOURCE_ENTRY in metadata:
            return cls.from_text(json.dumps(metadata[SOURCE_ENTRY].value))
        known = metadata.get("redcap/project_id")  # before there was the other entry
        return cls() if known is None else cls(project_id=int(known.value))

    def to_metadata(self) -> dict[str, Any]:
        """Return the source as a metadata entry, which the IO manager stores with the table."""
        return {SOURCE_ENTRY: dg.MetadataValue.json(asdict(self))}

    def differs(self, other: Self) -> bool:
        """Whether this is certainly another project; what is unknown does not differ.

        One URL can be written in several ways: the case of the host, a default port, a slash at
        the end, and http or https do not matter, nor which name this machine has.
        """
        urls = self.url is not None and other.url is not None
        ids = self.project_id is not None and other.project_id is not None
        return (ids and self.project_id != other.project_id) or (
            urls and _normalize(str(self.url)) != _normalize(str(other.url))
        )

    @property
    def server(self) -> str:
        """Host, port and path of the API, of which `differs` compares the same; or blank."""
        host, port, path = _normalize(self.url or "")
        return f"{host}:{port}{path}" if port else f"{host}{path}"

    def __str__(self) -> str:
        title = f' "{self.title}"' if self.title else ""
        number = "unknown" if self.project_id is None else self.project_id
        return f"project{title} (id {number})" + (f" at {self.url}" if self.url else "")


def _normalize(url: str) -> tuple[str, int | None, str]:
    """Return what tells one API from another: host, port and path."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = None if parts.port == _DEFAULT_PORTS.get(parts.scheme) else parts.port
    return ("localhost" if is_loopback(host) else host), port, parts.path.rstrip("/")
