"""Snippets of a project as Dagster assets: in YAML and in Python."""

from collections.abc import Mapping, Sequence

from redcap_dagster.api.snippets.method import Method, Value
from redcap_dagster.api.snippets.quoting import quote_python, quote_yaml

NAME = "study"
"""The name of the project in snippets."""

_LEFT_OUT = "Assets hold all records, events and fields: select from them in an asset of your own."


def write_yaml_snippet(
    method: Method, values: Mapping[str, Value], url: str, token_variable: str
) -> str | None:
    """Return the `defs.yaml` of a project whose assets hold what is exported, or None.

    Args:
        method: The method.
        values: The values of its parameters.
        url: The URL of the API.
        token_variable: The environment variable that holds the token.
    """
    if not method.tables:
        return None
    lines = [
        *_comments(method, values),
        "type: redcap_dagster.REDCapProjectComponent",
        "",
        "attributes:",
        f"  name: {NAME}",
        f"  url: {quote_yaml(url)}",
        f'  token: "{{{{ env.{token_variable} }}}}"',
    ]
    if instruments := _list_instruments(method, values):
        lines.append(f"  instruments: [{', '.join(map(quote_yaml, instruments))}]")
    return "\n".join(lines) + "\n"


def write_definitions_snippet(
    method: Method, values: Mapping[str, Value], url: str, token_variable: str
) -> str | None:
    """Return Python definitions of a project whose assets hold what is exported, or None.

    Args:
        method: The method.
        values: The values of its parameters.
        url: The URL of the API.
        token_variable: The environment variable that holds the token.
    """
    if not method.tables:
        return None
    lines = [
        *_comments(method, values),
        "import dagster as dg",
        "",
        "from redcap_dagster import REDCapResource, build_redcap_definitions",
        "",
        "",
        "@dg.definitions",
        "def defs() -> dg.Definitions:",
        "    return build_redcap_definitions(",
        f"        name={quote_python(NAME)},",
        "        redcap=REDCapResource(",
        f"            url={quote_python(url)},",
        f"            token=dg.EnvVar({quote_python(token_variable)}),",
        "        ),",
    ]
    if instruments := _list_instruments(method, values):
        lines.append(f"        instruments=[{', '.join(map(quote_python, instruments))}],")
    return "\n".join([*lines, "    )"]) + "\n"


def _list_instruments(method: Method, values: Mapping[str, Value]) -> Sequence[str]:
    """Return the instruments of a record export; none where it has fields of others."""
    forms = values.get("forms", ())
    if method.content != "record" or values.get("fields") or isinstance(forms, str | bool):
        return ()
    return forms


def _comments(method: Method, values: Mapping[str, Value]) -> list[str]:
    """Return comments: the assets that hold the same, and what they do not select."""
    forms = _list_instruments(method, values)
    tables = [
        table.replace("INSTRUMENT", form)
        for form in forms or ["INSTRUMENT"]
        for table in method.tables
    ]
    named = ", ".join(f"{NAME}/{table}" for table in dict.fromkeys(tables))
    selects = any(
        values.get(name)
        for name in ("records", "events", "fields", "filterLogic", "dateRangeBegin", "dateRangeEnd")
    )
    return [f"# Assets: {named}", *([f"# {_LEFT_OUT}"] if selects else [])]
