"""Snippets in Python with this package's client."""

from redcap_dagster.api.snippets.method import Parameter, Value
from redcap_dagster.api.snippets.quoting import quote_python
from redcap_dagster.api.snippets.request import APICall

_WIDTH = 88
"""The most characters of a line with all arguments."""

_ONE_DICT = ("projects.create", "projects.import_settings")
"""The calls whose data are one dict instead of rows."""


def write_client_snippet(call: APICall) -> str | None:
    """Return Python that makes the call of the client; None for data that it does not take.

    Formats are left out, as the client chooses them.

    Args:
        call: The method with chosen values.
    """
    name = call.method.choose_call(call.values).name
    arguments = []
    for parameter in call.method.parameters:
        value = call.values.get(parameter.name)
        is_default = parameter.always_sent and value == parameter.default
        if parameter.in_client and value and not is_default:
            written = _write(call, name, parameter, value)
            if written is None:
                return None
            arguments.append(f"{parameter.argument}={written}")
    line = f"result = redcap.{name}({', '.join(arguments)})"
    if len(line) > _WIDTH:
        line = "\n".join([f"result = redcap.{name}(", *(f"    {each}," for each in arguments), ")"])
    kinds = {each.kind for each in call.method.parameters if call.values.get(each.name)}
    lines = [
        *(["import json"] if "data" in kinds and call.format == "json" else []),
        "import os",
        *(["from datetime import datetime"] if kinds & {"time", "minute"} else []),
        "",
        f"from redcap_dagster.api import REDCapClient{', REDCapFile' if 'file' in kinds else ''}",
        "",
        f"token = os.environ[{quote_python(call.token_variable)}]",
        f"redcap = REDCapClient({quote_python(call.url)}, token)",
        line,
        "print(result)",
    ]
    return "\n".join(lines) + "\n"


def _write(call: APICall, name: str, parameter: Parameter, value: Value) -> str | None:
    """Return an argument as Python; None for data in a format that the client does not take."""
    if isinstance(value, bool):
        return repr(value)
    if not isinstance(value, str):
        return f"[{', '.join(map(quote_python, value))}]"
    quoted = quote_python(value)
    match parameter.kind:
        case "number" if value.isascii() and value.isdecimal():
            return str(int(value))
        case "time" | "minute":
            return f"datetime.fromisoformat({quoted})"
        case "file":
            return f"REDCapFile.read({quoted})"
        case "data" if call.format == "json":
            is_list = name in _ONE_DICT and value.lstrip().startswith("[")
            return f"json.loads({quoted}){'[0]' if is_list else ''}"
        case "data" if call.format != "csv" or name in _ONE_DICT:
            return None
    return quoted
