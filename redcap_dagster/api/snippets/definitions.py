"""Snippets of a project as Dagster assets: in YAML and in Python."""

from collections.abc import Sequence

from redcap_dagster.api.snippets.quoting import quote_python, quote_yaml
from redcap_dagster.api.snippets.request import APICall

NAME = "study"
"""The name of the project in snippets."""

_SELECTION = ("records", "events", "fields", "filterLogic", "dateRangeBegin", "dateRangeEnd")
_NOT_SELECTED = "They hold all records, events and fields: select in an asset of your own."


def write_yaml_snippet(call: APICall) -> str | None:
    """Return the `defs.yaml` of a project whose assets hold what is exported, or None.

    Args:
        call: The method with chosen values.
    """
    if not call.method.tables:
        return None
    lines = [
        *_write_comments(call),
        "type: redcap_dagster.REDCapProjectComponent",
        "",
        "attributes:",
        f"  name: {NAME}",
        f"  url: {quote_yaml(call.url)}",
        f'  token: "{{{{ env.{call.token_variable} }}}}"',
    ]
    if instruments := _list_instruments(call):
        lines.append(f"  instruments: [{', '.join(map(quote_yaml, instruments))}]")
    return "\n".join(lines) + "\n"


def write_definitions_snippet(call: APICall) -> str | None:
    """Return Python definitions of a project whose assets hold what is exported, or None.

    Args:
        call: The method with chosen values.
    """
    if not call.method.tables:
        return None
    lines = [
        *_write_comments(call),
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
        f"            url={quote_python(call.url)},",
        f"            token=dg.EnvVar({quote_python(call.token_variable)}),",
        "        ),",
    ]
    if instruments := _list_instruments(call):
        lines.append(f"        instruments=[{', '.join(map(quote_python, instruments))}],")
    return "\n".join([*lines, "    )"]) + "\n"


def _list_instruments(call: APICall) -> Sequence[str]:
    """Return the instruments that a record export names; none where it has fields of others."""
    forms, fields = call.values.get("forms", ()), call.values.get("fields", ())
    if isinstance(forms, str | bool) or isinstance(fields, str | bool):
        return ()
    # One field may be the record id, which each table has.
    return forms if call.method.content == "record" and len(fields) < 2 else ()


def _write_comments(call: APICall) -> list[str]:
    """Return comments: the assets that hold the same, and what they do not select."""
    instruments = _list_instruments(call) or ["INSTRUMENT"]
    tables = dict.fromkeys(
        table.replace("INSTRUMENT", name) for name in instruments for table in call.method.tables
    )
    named = ", ".join(f"{NAME}/{table}" for table in tables)
    selects = any(call.values.get(name) for name in _SELECTION)
    return [f"# Assets: {named}", *([f"# {_NOT_SELECTED}"] if selects else [])]
