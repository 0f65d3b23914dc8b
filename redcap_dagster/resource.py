"""REDCapResource: the URL, token and client settings of a REDCap project."""

import re
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import ConfigDict, Field, field_validator

from redcap_dagster.api import ClientSettings, REDCapClient
from redcap_dagster.api.http.url import normalize_url
from redcap_dagster.dagster_private import PartialResource
from redcap_dagster.options import misspelt

_VARIABLE = re.compile(r"\{\{ env\.(\w+) \}\}")
"""How Dagster's configuration names a variable that Dagster itself is not to read."""


class REDCapResource(ClientSettings, dg.ConfigurableResource[Any]):
    """URL, token and client settings of a REDCap project.

    Give the token as `dg.EnvVar`, so that it stays in the environment: Dagster keeps the
    configuration of resources in its snapshots, with a token that is written out. A variable that
    is not set fails the steps that need it, and not the other projects of a run.

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

    def __init__(self, **values: Any) -> None:
        super().__init__(**{name: _read_variable(value) for name, value in values.items()})

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
            TypeError: A setting is misspelled.
        """
        if not isinstance(values.get("token", dg.EnvVar("")), dg.EnvVar):
            raise ValueError("token: give it as dagster.EnvVar.")
        if unknown := misspelt(values, cls.model_fields, cls.__name__):
            raise TypeError(unknown)
        cls._check_url(values.get("url"))
        written = {name: _write_variable(value) for name, value in values.items()}
        return super().configure_at_launch(**written)

    def create_resource(self, context: dg.InitResourceContext) -> Any:  # noqa: ARG002
        """Return the resource of a run, with the values of those variables that are set."""
        values = {
            name: value.get_value()
            for name in ("url", "token")
            if isinstance(value := getattr(self, name), dg.EnvVar)
        }
        try:
            return self._with_updated_values({name: set_ for name, set_ in values.items() if set_})
        except ValueError:  # an invalid URL; the step that needs the client raises the same error
            return self

    def _convert_to_config_dictionary(self) -> Mapping[str, Any]:
        """Return Dagster's configuration; a variable in it that is not set would fail every run."""
        variables = {name: _write_variable(getattr(self, name)) for name in ("url", "token")}
        return {**super()._convert_to_config_dictionary(), **variables}

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


def get_project_client(name: str, redcap: REDCapResource) -> REDCapClient:
    """Return the client of a project.

    Args:
        name: Name of the project in Dagster, for errors.
        redcap: URL, token and client settings of the project.

    Raises:
        ValueError: URL or token is invalid, or its environment variable is not set.
    """
    try:
        return redcap.get_client()
    except ValueError as error:  # of this package: without the token
        raise ValueError(f"REDCap project {name}: {error}") from None


def _write_variable(value: Any) -> Any:
    """Return an `EnvVar` as a text that Dagster's configuration does not resolve."""
    return f"{{{{ env.{value.env_var_name} }}}}" if isinstance(value, dg.EnvVar) else value


def _read_variable(value: Any) -> Any:
    """Return the `EnvVar` of such a text, and any other value unchanged."""
    if not isinstance(value, str) or isinstance(value, dg.EnvVar):
        return value
    match = _VARIABLE.fullmatch(value)
    return dg.EnvVar(match[1]) if match else value


def _resolve(value: str) -> str:
    """Read an `EnvVar` where Dagster has not done it, as outside of a run."""
    if not isinstance(value, dg.EnvVar):
        return value
    found = value.get_value()
    if not found:
        state = "not set" if found is None else "empty"
        raise ValueError(
            f"The environment variable {value.env_var_name} is {state}. Export it. Only "
            "dagster dev and dg read a file .env, that of the folder in which they are started."
        )
    return found
