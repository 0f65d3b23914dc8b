"""The code that sends a request of REDCap's API, in several languages."""

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

from redcap_dagster.api.snippets.client_call import write_client_snippet
from redcap_dagster.api.snippets.curl import write_curl_snippet
from redcap_dagster.api.snippets.definitions import (
    write_definitions_snippet,
    write_yaml_snippet,
)
from redcap_dagster.api.snippets.httr import write_httr_snippet
from redcap_dagster.api.snippets.method import Method, Value
from redcap_dagster.api.snippets.python_requests import write_requests_snippet
from redcap_dagster.api.snippets.redcapr import write_redcapr_snippet
from redcap_dagster.api.snippets.request import APICall, write_request

Language = Literal["requests", "client", "yaml", "definitions", "httr", "REDCapR", "curl"]

LANGUAGES: Final[Mapping[Language, str]] = {
    "requests": "Python (requests)",
    "client": "Python (redcap_dagster)",
    "yaml": "Dagster (YAML)",
    "definitions": "Dagster (Python)",
    "httr": "R (httr)",
    "REDCapR": "R (REDCapR)",
    "curl": "curl",
}
"""The languages of snippets, with their titles."""

URL: Final = "https://redcap.example.edu/api/"
"""The URL in snippets, if none is given."""

TOKEN_VARIABLE: Final = "REDCAP_API_TOKEN"  # noqa: S105
"""The environment variable of the token in snippets, if none is given."""


def snippet(
    method: Method,
    values: Mapping[str, Value],
    language: Language,
    *,
    url: str = URL,
    token_variable: str = TOKEN_VARIABLE,
) -> str | None:
    r"""Return code that sends a method's request.

    The token is read from an environment variable. The code holds the given values and no others.

    Args:
        method: The method, as `find_method` returns it.
        values: Values of its parameters by REDCap's names, as for `write_request`. The value of a
            file is its path.
        language: One of `LANGUAGES`.
        url: URL of the API. Defaults to an example.
        token_variable: Environment variable of the token. Defaults to ``REDCAP_API_TOKEN``.

    Returns:
        The code; None where the language does not have the method, such as assets for a deletion.

    Raises:
        TypeError: The method does not have a parameter, or a value has the wrong type.
        ValueError: The language does not exist, a value is not one of the choices, or the variable
            is not a name.

    Example:
        >>> from redcap_dagster.api.snippets import find_method
        >>> print(snippet(find_method("Export REDCap Version"), {}, "curl"), end="")
        printf %s "$REDCAP_API_TOKEN" | curl --silent --show-error \
          --data-urlencode token@- \
          --data content=version \
          --data returnFormat=json \
          https://redcap.example.edu/api/
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", token_variable):
        raise ValueError("token_variable: must be the name of an environment variable.")
    write = _WRITERS.get(language)
    if write is None:
        raise ValueError(f"language: must be one of {', '.join(map(repr, LANGUAGES))}.")
    return write(APICall(method, values, write_request(method, values), url, token_variable))


_WRITERS: Final[Mapping[str, Callable[[APICall], str | None]]] = {
    "requests": write_requests_snippet,
    "client": write_client_snippet,
    "yaml": write_yaml_snippet,
    "definitions": write_definitions_snippet,
    "httr": write_httr_snippet,
    "REDCapR": write_redcapr_snippet,
    "curl": write_curl_snippet,
}
