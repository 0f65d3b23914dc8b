"""The methods of REDCap's API, by the names that the API Playground gives them."""

from typing import Final

from redcap_dagster.api.snippets.file_methods import FILE_METHODS
from redcap_dagster.api.snippets.method import ClientCall, Method
from redcap_dagster.api.snippets.people_methods import PEOPLE_METHODS
from redcap_dagster.api.snippets.project_methods import PROJECT_METHODS
from redcap_dagster.api.snippets.record_methods import RECORD_METHODS

METHODS: Final[tuple[Method, ...]] = (
    *RECORD_METHODS,
    *FILE_METHODS,
    *PROJECT_METHODS,
    *PEOPLE_METHODS,
)
"""All methods."""


def find_method(title: str) -> Method:
    """Return the method with a title of the API Playground.

    Raises:
        KeyError: No method has the title.

    Example:
        >>> find_method("Delete Records").calls[0].name
        'records.delete'
    """
    for method in METHODS:
        if method.title == title:
            return method
    raise KeyError(title)


def find_client_method(call: str) -> tuple[Method, ClientCall]:
    """Return the method that a call of the client sends, with the call.

    Raises:
        KeyError: No method is sent by the call.

    Example:
        >>> method, call = find_client_method("records.export_eav")
        >>> method.title, call.value
        ('Export Records', 'eav')
    """
    for method in METHODS:
        for each in method.calls:
            if each.name == call:
                return method, each
    raise KeyError(call)
