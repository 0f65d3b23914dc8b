"""The methods of REDCap's API, and code that calls them in several languages.

From the top: `languages`; a module for each of them; `request`, `catalog`, `quoting`; `method`.
Nothing here sends a request.
"""

from redcap_dagster.api.snippets.catalog import METHODS, find_client_method, find_method
from redcap_dagster.api.snippets.languages import LANGUAGES, TOKEN_VARIABLE, Language, snippet
from redcap_dagster.api.snippets.method import ClientCall, Method, Parameter, Value
from redcap_dagster.api.snippets.request import read_values, write_request

__all__ = [
    "LANGUAGES",
    "METHODS",
    "TOKEN_VARIABLE",
    "ClientCall",
    "Language",
    "Method",
    "Parameter",
    "Value",
    "find_client_method",
    "find_method",
    "read_values",
    "snippet",
    "write_request",
]
