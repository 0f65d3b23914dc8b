"""The parameters of a method's request, for a snippet and for the request itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from redcap_dagster.api.snippets.method import Method, Parameter, Value
from redcap_dagster.options import misspelt

_NAMES_ITS_EXPORT = ("record", "file", "fileRepository")
"""The contents whose export has an action; the export of any other content does not."""


def write_request(method: Method, values: Mapping[str, Value]) -> dict[str, str]:
    """Return the raw parameters of a request, without the token and without a file.

    A value that is blank, False or an empty list is left out, so that REDCap assumes its default,
    or says that a required parameter is missing.

    Args:
        method: The method.
        values: Values by REDCap's names: a text, a bool for a flag, or a list for several names.

    Raises:
        TypeError: The method does not have a parameter, or a value has the wrong type.
        ValueError: A value is not one of the choices, or holds a character that no request can.

    Example:
        >>> from redcap_dagster.api.snippets import find_method
        >>> write_request(find_method("Export Records"), {"fields": ["record_id", "age"]})
        ... # doctest: +NORMALIZE_WHITESPACE
        {'content': 'record', 'action': 'export', 'format': 'csv', 'type': 'flat',
         'csvDelimiter': ',', 'returnFormat': 'json', 'fields[0]': 'record_id', 'fields[1]': 'age'}
    """
    known = [parameter.name for parameter in method.parameters]
    if unknown := misspelt(values, known, method.title):
        raise TypeError(unknown)
    request = {"content": method.content}
    if method.action != "export" or method.content in _NAMES_ITS_EXPORT:
        request["action"] = method.action
    for parameter in method.parameters:
        if parameter.kind != "file":
            request |= _write(parameter, values.get(parameter.name, ""))
    return request


def read_values(method: Method, request: Mapping[str, str]) -> dict[str, Value]:
    """Return the values that raw parameters have, for `write_request`.

    Parameters that the method does not have are left out.

    Args:
        method: The method.
        request: Raw parameters of its request.

    Example:
        >>> from redcap_dagster.api.snippets import find_method
        >>> request = {"content": "record", "exportSurveyFields": "true", "forms[0]": "visit"}
        >>> read_values(find_method("Export Records"), request)
        {'exportSurveyFields': True, 'forms': ['visit']}
    """
    values: dict[str, Value] = {}
    for parameter in method.parameters:
        name = parameter.name
        if parameter.kind == "names":
            if names := [text for key, text in request.items() if key.startswith(f"{name}[")]:
                values[name] = names
        elif name in request:
            values[name] = True if parameter.kind == "flag" else request[name]
    return values


@dataclass(frozen=True, slots=True)
class APICall:
    """A method with chosen values, as a snippet writes it.

    Attributes:
        method: The method.
        values: Values of its parameters by REDCap's names.
        request: The raw parameters of its request.
        url: URL of the API.
        token_variable: Environment variable of the token.
    """

    method: Method
    values: Mapping[str, Value]
    request: Mapping[str, str]
    url: str
    token_variable: str

    @property
    def file(self) -> str:
        """The path of the file that is sent; blank if there is none."""
        return str(self.values.get("file", ""))

    @property
    def format(self) -> str:
        """The format of the data that are sent or received; blank if there is none."""
        return self.request.get("format", "")

    @property
    def delimiter(self) -> str:
        """The delimiter of CSV."""
        return self.request.get("csvDelimiter", ",").replace("tab", "\t")

    @property
    def returns_records(self) -> bool:
        """Whether the response is a CSV of records."""
        is_export = self.method.action == "export" and self.format == "csv"
        return is_export and self.method.content in ("record", "report")


def _write(parameter: Parameter, value: Value) -> dict[str, str]:
    """Return one parameter; none where its value is blank."""
    name = parameter.name
    if parameter.kind == "names":
        if (isinstance(value, str) and value) or isinstance(value, bool):
            raise TypeError(f"{name}: must be a list of {name}, not one value.")
        return {f"{name}[{index}]": _check(name, each) for index, each in enumerate(value)}
    if parameter.kind == "flag":
        if not isinstance(value, bool) and value:
            raise TypeError(f"{name}: must be True or False.")
        return {name: parameter.on} if value else {}
    text = _check(name, value)
    if not text:
        text = parameter.default if parameter.always_sent else ""
    if text and parameter.choices and text not in parameter.choices:
        raise ValueError(f"{name}: must be one of {', '.join(map(repr, parameter.choices))}.")
    return {name: text} if text else {}


def _check(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name}: must be a text, not {type(value).__name__}.")
    if "\0" in value:
        raise ValueError(f"{name}: holds a NUL character. Remove it.")
    return value
