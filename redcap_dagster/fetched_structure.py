"""The structure of a project, which is fetched from REDCap when a code location loads."""

import warnings
from collections import defaultdict
from collections.abc import Callable
from time import monotonic
from typing import Final

import dagster as dg

from redcap_dagster.dagster_private import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
    StateBackedDefinitionsLoader,
)
from redcap_dagster.failures import ProjectNotLoadedError, reason, without_assets
from redcap_dagster.project import REDCapProject, StructureError
from redcap_dagster.resource import REDCapResource

_PATIENCE: Final = 30.0
"""Seconds that REDCap has to respond while a code location loads; Dagster's own limit is 180."""

_LEAST_PATIENCE: Final = 0.1

_SLOW: Final = 1.0
"""Seconds from which on other projects wait for a failure."""

_failures: defaultdict[str, list[float]] = defaultdict(list)
"""When fetching from a URL failed after a wait, in this process."""


def fetch_structure(name: str, redcap: REDCapResource) -> str:
    """Return the structure of a project as JSON, without record or token.

    Args:
        name: Name of the project in Dagster, for errors.
        redcap: URL, token and client settings of the project.

    Raises:
        ProjectNotLoadedError: The structure cannot be fetched.
    """
    try:
        client = redcap.get_client()
    except ValueError as error:  # of this package: a URL or a variable that is not right
        cause = str(error)
    else:
        try:
            return client.export_project().to_json()
        except Exception as error:  # noqa: BLE001 other libraries' texts may hold values
            cause = reason(error)
    raise ProjectNotLoadedError(f"REDCap project {name}: structure not fetched. {cause}")


def _fetch_without_long_waits(name: str, redcap: REDCapResource) -> str:
    """Return what `fetch_structure` does, with shorter limits, as other projects wait meanwhile.

    Each failure of a server that took long, in the last minutes, halves its time for the next one:
    all projects of a server that hangs take two minutes at most, however many they are.

    Raises:
        ProjectNotLoadedError: The structure cannot be fetched.
    """
    began, server = monotonic(), str(redcap.url)
    recent = [when for when in _failures[server] if began - when < 6 * _PATIENCE]
    longest = max(_PATIENCE / 2 ** len(recent), _LEAST_PATIENCE)
    values = {field: getattr(redcap, field) for field in type(redcap).model_fields}
    values |= {
        "connect_timeout": min(redcap.connect_timeout, longest),
        "read_timeout": min(redcap.read_timeout, longest),
        "retries": min(redcap.retries, 0 if recent else 2),
    }
    try:
        return fetch_structure(name, type(redcap)(**values))
    except ProjectNotLoadedError:
        if monotonic() - began >= _SLOW:
            _failures[server] = [*recent, monotonic()]
        raise


def build_fetched_definitions(
    name: str,
    redcap: REDCapResource,
    build: Callable[[REDCapProject], dg.Definitions],
    *,
    strict: bool,
) -> dg.Definitions:
    """Return the definitions of the structure that is fetched when the code location loads.

    Args:
        name: Name of the project in Dagster.
        redcap: URL, token and client settings of the project.
        build: Returns the definitions of a structure.
        strict: Whether it is an error if the project has no assets.

    Raises:
        ProjectNotLoadedError: ``strict`` is true, and the structure cannot be fetched or does not
            fit the options.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # of how Dagster keeps the state
        return _Fetched(name, redcap, build, strict=strict).build_defs()


_fetched: dict[tuple[str, ...], str] = {}
"""The structures that this process fetched, by what tells projects apart."""


class _Fetched(StateBackedDefinitionsLoader[str]):
    """Definitions of a structure that is fetched when a code location loads, and only then.

    Dagster keeps the structure, as JSON without record or token, and hands it to the processes of
    runs. It is blank where it cannot be fetched: the project then has no assets in these processes
    either.
    """

    def __init__(
        self,
        name: str,
        redcap: REDCapResource,
        build: Callable[[REDCapProject], dg.Definitions],
        *,
        strict: bool,
    ) -> None:
        self._name = name
        self._redcap = redcap
        self._build = build
        self._strict = strict

    @property
    def defs_key(self) -> str:
        return f"redcap_dagster/{self._name}"

    def fetch_state(self) -> str:
        # Dagster's own commands load a location several times over in one process, and tell only
        # the processes that they start what the first load has found.
        reloads = DefinitionsLoadContext.get().load_type is DefinitionsLoadType.RECONSTRUCTION
        token = self._redcap.token
        variable = token.env_var_name if isinstance(token, dg.EnvVar) else token
        project = (self.defs_key, repr(self._redcap), variable)
        if not (reloads and project in _fetched):
            try:
                _fetched[project] = _fetch_without_long_waits(self._name, self._redcap)
            except ProjectNotLoadedError as error:
                without_assets(
                    f"{error} The project has no assets until the code location is reloaded and "
                    "this succeeds. To load it without REDCap, give its structure as project.",
                    strict=self._strict,
                )
                return ""
        return _fetched[project]

    def defs_from_state(self, state: str) -> dg.Definitions:
        if not state:
            return dg.Definitions()
        try:
            return self._build(REDCapProject.from_json(state))
        except StructureError as error:
            return without_assets(
                f"REDCap project {self._name}: no assets, because its options and its structure do "
                f"not match. {error}",
                strict=self._strict,
            )
