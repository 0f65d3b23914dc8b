"""Replace ``<!-- generated: NAME -->`` in pages by what the code declares."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from redcap_dagster import REDCapProjectComponent
from redcap_dagster.checks import CHECKS
from redcap_dagster.sandbox.cli import main as redcap_sandbox

_COLUMNS = ["option", "what it sets", "type", "default"]
_MARKER = re.compile(r"^<!-- generated: (\S+) -->$", re.M)
_OF_DAGSTER = "PartitionsDefinitionModel"  # options of Dagster's that its own pages describe


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page with generated parts in the place of its markers; called by MkDocs."""
    return _MARKER.sub(lambda marker: GENERATED[marker[1]](), markdown)


def yaml_options() -> str:
    """Return every option of `REDCapProjectComponent`: a table of all, then a section for each."""
    schema = REDCapProjectComponent.model().model_json_schema()
    defs = schema["$defs"]

    def row(name: str, option: Mapping[str, Any], required: bool) -> list[str]:
        return [
            name,
            _text(option),
            _type(option, defs),
            "required" if required else _default(option),
        ]

    overview, sections = [], []
    for name, option in schema["properties"].items():
        below = [row(f"`{path}`", each, needed) for path, each, needed in _nested(option, defs)]
        title = f"[`{name}`](#{name})" if below else f"`{name}`"
        overview.append(row(title, option, name in schema["required"]))
        if below:
            sections.append(f"## {name}\n\n{_text(option)}\n\n{_table(_COLUMNS, below)}")
    return "\n\n".join([_table(_COLUMNS, overview), *sections])


def checks() -> str:
    """Return a table of the checks with their defaults."""
    rows = [
        [
            f"`{name}`",
            {"metadata": "`metadata/fields`"}.get(check.layer, f"`{check.layer}/INSTRUMENT`"),
            check.description,
            f"`{check.severity}`",
            "yes" if check.blocking else "no",
        ]
        for name, check in CHECKS.items()
    ]
    return _table(["check", "asset", "what it checks", "severity", "blocking"], rows)


def sandbox_command() -> str:
    """Return the help of each command of ``redcap-sandbox``."""
    parts = []
    for name, command in redcap_sandbox.commands.items():
        context = click.Context(command, info_name=f"redcap-sandbox {name}", terminal_width=78)
        parts.append(f"```text\n{command.get_help(context)}\n```")
    return "\n\n".join(parts)


GENERATED: Mapping[str, Callable[[], str]] = {
    "checks": checks,
    "redcap-sandbox": sandbox_command,
    "yaml-options": yaml_options,
}


def _nested(
    schema: Mapping[str, Any], defs: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield the options inside an option: path, schema, and whether it is required."""
    for kind in [schema, *schema.get("anyOf", [])]:
        if isinstance(kind.get("additionalProperties"), Mapping):
            yield from _nested(kind["additionalProperties"], defs, f"{path}NAME.")
        reference = kind.get("$ref", "").rpartition("/")[2]
        if reference and not reference.endswith(_OF_DAGSTER):
            model = defs[reference]
            for name, option in model.get("properties", {}).items():
                yield f"{path}{name}", option, name in model.get("required", [])
                yield from _nested(option, defs, f"{path}{name}.")


def _text(option: Mapping[str, Any]) -> str:
    return str(option.get("description") or "").replace("\n\n", "<br>").replace("\n", " ")


def _type(option: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    if "$ref" in option:
        return _type(defs[option["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in option:
        kinds = dict.fromkeys(_type(kind, defs) for kind in option["anyOf"])
        # Any option can be a template, and so a string.
        named = [kind for kind in kinds if kind not in ("null", "any", "string")]
        return " or ".join(named or ["string"])
    if "enum" in option or "const" in option:
        return ", ".join(f"`{value}`" for value in option.get("enum", [option.get("const")]))
    if option.get("type") == "array":
        return f"list of {_type(option.get('items', {}), defs)}"
    return str(option.get("type", "any"))


def _default(option: Mapping[str, Any]) -> str:
    default = option.get("default")
    if default in (None, {}, "__DAGSTER_UNSET_DEFAULT__"):
        return ""
    return f"`{json.dumps(default) if not isinstance(default, str) else default}`"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", r"\|") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
