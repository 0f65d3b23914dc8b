"""The snippet of a call of the client, in the client's own words."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redcap_dagster.api.calls.file_response import REDCapFile
from redcap_dagster.api.calls.import_data import write_import_data
from redcap_dagster.api.calls.parameters import (
    check_one_of,
    check_positive,
    check_required,
    write_flag,
    write_list,
    write_server_time,
)
from redcap_dagster.api.snippets import (
    LANGUAGES,
    METHODS,
    Language,
    Parameter,
    Value,
    find_client_method,
    snippet,
)
from redcap_dagster.options import misspelt


def write_call_snippet(
    call: str, arguments: Mapping[str, Any], language: Language, url: str, token_variable: str
) -> str:
    """Return code for a call of the client; see `REDCapClient.snippet`."""
    calls = [each.name for method in METHODS for each in method.calls]
    if unknown := misspelt([call], calls, "The catalog of calls"):
        raise TypeError(unknown)
    check_one_of("language", language, tuple(LANGUAGES))
    method, client_call = find_client_method(call)
    parameters = {each.argument: each for each in method.parameters if each.in_client}
    known = [*parameters, *client_call.own_arguments]
    if unknown := misspelt(arguments, known, f"A snippet of {call}"):
        raise TypeError(unknown)
    for name in client_call.own_arguments:
        if name in arguments:
            raise ValueError(
                f"{name}: the client itself interprets it, so that no single request has it. Leave "
                "it out."
            )
    given = {name: value for name, value in arguments.items() if value is not None}
    for name, parameter in parameters.items():
        if parameter.required and name not in given:
            raise TypeError(f"A snippet of {call} needs {name}.")
    values: dict[str, Value] = {}
    if client_call.parameter:
        values[client_call.parameter] = client_call.value
    for name, value in given.items():
        if parameters[name].kind == "data":
            values["format"], values["data"] = _write_data(value)
        else:
            values[parameters[name].name] = _write_value(parameters[name], name, value)
    code = snippet(method, values, language, url=url, token_variable=token_variable)
    if code is None:
        raise ValueError(
            f"language: {LANGUAGES[language]} does not have the call {call} with these arguments. "
            "Take another language."
        )
    return code


def _write_value(parameter: Parameter, name: str, value: Any) -> Value:
    match parameter.kind:
        case "flag":
            return write_flag(name, value) is not None
        case "names":
            return list(write_list(name, value).values())
        case "number":
            return str(check_positive(name, value))
        case "time":
            return write_server_time(name, value)
        case "minute":
            return write_server_time(name, value)[:16]
        case "file":
            return str(value.name if isinstance(value, REDCapFile) else Path(value))
    return check_required(name, value)


def _write_data(data: Any) -> tuple[str, str]:
    """Return import data as REDCap reads them: the format and the text."""
    if isinstance(data, str):
        return "csv", data
    if isinstance(data, Mapping):
        return "json", json.dumps([dict(data)])
    return write_import_data(data, ())
