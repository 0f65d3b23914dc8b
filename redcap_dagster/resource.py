"""REDCapResource: the URL, token and client settings of a REDCap project."""

from typing import Any

import dagster as dg
from pydantic import ConfigDict, Field, field_validator

from redcap_dagster.api import ClientSettings, REDCapClient
from redcap_dagster.api.http.url import normalize_url
from redcap_dagster.dagster_private import PartialResource
from redcap_dagster.options import misspelt


class REDCapResource(ClientSettings, dg.ConfigurableResource[Any]):
    """URL, token and client settings of a REDCap project.

    Give the token as `dg.EnvVar`, so that it stays in the environment: Dagster keeps the
    configuration of resources in its snapshots, with a token that is written out.

    Example:
        >>> import dagster as dg
        >>> redcap = REDCapResource(
        ...     url="https://redcap.example.edu/api/", token=dg.EnvVar("REDCAP_API_TOKEN"))
        >>> "REDCAP" in repr(redcap)
        False
    """

    # A token of another type than text must not be shown in pydantic's error.
    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(
        description="URL of the API, ending in a slash.",
        examples=["https://redcap.example.edu/api/"],
    )
    token: str = Field(
        description="API token of the project. Give it as dagster.EnvVar.",
        repr=False,
        json_schema_extra={"dagster__is_secret": True},
    )

    @field_validator("url", mode="before")
    @classmethod
    def _check_url(cls, url: Any) -> Any:
        # Already here, so that a password in it is in no repr; one of the environment is later.
        if isinstance(url, str) and not isinstance(url, dg.EnvVar):
            normalize_url(url)
        return url

    @classmethod
    def configure_at_launch(cls, **values: Any) -> PartialResource[Any]:
        """Return a resource whose other values are given when a run is launched.

        Dagster stores the configuration of a run. Give the token there as
        ``{"env": "REDCAP_API_TOKEN"}``.

        Raises:
            ValueError: The token is written out, and would be in the repr; or the URL is not one.
            TypeError: A setting is misspelt.
        """
        if not isinstance(values.get("token", dg.EnvVar("")), dg.EnvVar):
            raise ValueError("token: give it as dagster.EnvVar.")
        if unknown := misspelt(values, cls.model_fields, cls.__name__):
            raise TypeError(unknown)
        cls._check_url(values.get("url"))
        return super().configure_at_launch(**values)

    def get_client(self) -> REDCapClient:
        """Return a client for the project, in a run or outside of Dagster.

        Raises:
            ValueError: URL or token is invalid, or its environment variable is not set.
        """
        settings = {name: getattr(self, name) for name in ClientSettings.model_fields}
        return REDCapClient(_resolve(self.url), _resolve(self.token), **settings)

    @property
    def holds_token(self) -> bool:
        """Whether the token itself is in this value, rather than the name of a variable."""
        return not isinstance(self.token, dg.EnvVar)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.holds_token:
            raise TypeError(
                "A REDCapResource that holds its token cannot be pickled, because the pickle would "
                "contain the token. Give the token as dagster.EnvVar."
            )
        # What Dagster adds to a resource does not survive a pickle; it is built again.
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return _with_values, (type(self), values)


def _with_values(kind: type[REDCapResource], values: dict[str, Any]) -> REDCapResource:
    return kind(**values)


def _resolve(value: str) -> str:
    """Read an `EnvVar` where Dagster has not done it, as outside of a run."""
    if not isinstance(value, dg.EnvVar):
        return value
    found = value.get_value()
    if not found:
        state = "not set" if found is None else "empty"
        raise ValueError(
            f"The environment variable {value.env_var_name} is {state}. Export it. A file .env "
            "in the folder where they start works for dagster dev and dg, not for every command."
        )
    return found
