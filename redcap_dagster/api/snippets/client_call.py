"""Snippets in Python with this package's client."""

from collections.abc import Mapping

from redcap_dagster.api.snippets.method import Method, Parameter, Value
from redcap_dagster.api.snippets.quoting import quote_python

_SETTINGS = ("projects.create", "projects.import_settings")
"""The calls whose data are one dict instead of rows."""


def write_client_snippet(
    method: Method,
    values: Mapping[str, Value],
    call_name: str,
    url: str,
    token_variable: str,
) -> str | None:
    """Return Python that makes the call of the client, or None if it cannot.

    Formats are left out, as the client chooses them.

    Args:
        method: The method.
        values: The values of its parameters.
        call_name: The call of the client.
        url: The URL of the API.
        token_variable: The environment variable that holds the token.
    """
    arguments, imports = [], {"import os"}
    for parameter in method.parameters:
        value = values.get(parameter.name)
        if not parameter.in_client or not value:
            continue
        written = _write_argument(parameter, value, values, call_name)
        if written is None:
            return None
        text, needed = written
        name = "settings" if call_name == "projects.import_settings" else parameter.argument
        arguments.append(f"{name}={text}")
        imports |= {needed} - {""}
    names = ["REDCapClient", "REDCapFile"] if "REDCapFile" in imports else ["REDCapClient"]
    imports -= {"REDCapFile"}
    call = f"result = redcap.{call_name}({', '.join(arguments)})"
    if len(call) > 88:
        call = "\n".join(
            [f"result = redcap.{call_name}(", *(f"    {each}," for each in arguments), ")"]
        )
    lines = [
        *sorted(imports, key=lambda line: (line.startswith("from"), line)),
        "",
        f"from redcap_dagster.api import {', '.join(names)}",
        "",
        f"redcap = REDCapClient({quote_python(url)}, os.environ[{quote_python(token_variable)}])",
        call,
        "print(result)",
    ]
    return "\n".join(lines) + "\n"


def _write_argument(
    parameter: Parameter, value: Value, values: Mapping[str, Value], call_name: str
) -> tuple[str, str] | None:
    """Return an argument as Python and the import that it needs; None if it cannot be given."""
    if isinstance(value, bool):
        return repr(value), ""
    if not isinstance(value, str):
        return f"[{', '.join(map(quote_python, value))}]", ""
    if parameter.kind == "number" and value.isascii() and value.isdecimal():
        return str(int(value)), ""
    if parameter.kind == "time":
        return f"datetime.fromisoformat({quote_python(value)})", "from datetime import datetime"
    if parameter.kind == "file":
        return f"REDCapFile.read({quote_python(value)})", "REDCapFile"
    if parameter.kind == "data":
        return _write_data(value, str(values.get("format") or "csv"), call_name)
    return quote_python(value), ""


def _write_data(data: str, format_: str, call_name: str) -> tuple[str, str] | None:
    if format_ == "csv" and call_name not in _SETTINGS:
        return quote_python(data), ""
    if format_ != "json":
        return None
    text = f"json.loads({quote_python(data)})"
    if call_name in _SETTINGS and data.lstrip().startswith("["):
        text += "[0]"
    return text, "import json"
