"""The rights of users and roles as rows of an export or an import."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from redcap_dagster.project import REDCapProject
from redcap_dagster.sandbox.calls.call import (
    Call,
    Response,
    respond_with_table,
    respond_with_text,
)
from redcap_dagster.sandbox.protocol.formats import Table, dump_json
from redcap_dagster.sandbox.protocol.import_data import UNREADABLE, Row, read_rows
from redcap_dagster.sandbox.protocol.parameters import RequestError
from redcap_dagster.sandbox.protocol.version import parse_version
from redcap_dagster.sandbox.store.rights import BY_FORM, FULL, TEXTS, Rights

_RANDOMIZATION: Final = ("random_setup", "random_dashboard", "random_perform")
_SINCE: Final = {"api_modules": (14, 0, 3), "email_logging": (14, 4, 0)}
_BIT_RIGHTS_SINCE: Final = (15, 6, 0)
"""Since this version the rights to a form have other codes."""

FormRight = Literal["none", "read", "edit"]
"""Right of a user to the values of an instrument."""


@dataclass(frozen=True, slots=True)
class RightsRow:
    """A user or a role in an export: names and texts, then the rights."""

    named: Mapping[str, str | int]
    rights: Rights


def respond_with_rights(call: Call, rows: Sequence[RightsRow], *, as_text: bool) -> Response:
    """Return a response with rights.

    Rights to instruments are an object in JSON, and ``form:1,other:0`` in CSV and XML.

    Args:
        call: Call to respond to.
        rows: Users or roles.
        as_text: Whether JSON has texts for numbers, as recorded for roles.
    """
    structure = call.project.structure
    version = parse_version(structure.version)
    names = [
        column.name
        for column in fields(Rights)
        if column.name not in TEXTS
        and column.name not in BY_FORM
        and version >= _SINCE.get(column.name, ())
        and (structure.info.randomization_enabled or column.name not in _RANDOMIZATION)
    ]
    edit = list_form_rights(structure.version)["edit"]
    written: list[dict[str, Any]] = []
    for row in rows:
        flags = {name: getattr(row.rights, name) for name in names}
        forms = [form.instrument_name for form in structure.instruments]
        levels = {
            "forms": {form: row.rights.forms.get(form, edit) for form in forms},
            "forms_export": {form: row.rights.forms_export.get(form, FULL) for form in forms},
        }
        written.append({**row.named, **flags, **levels})
    if call.format == "json":
        data = [_convert_to_text(row) for row in written] if as_text else written
        return respond_with_text(dump_json(data), "json")
    columns = tuple(written[0]) if written else ()
    # In XML these may be elements; no response is known.
    cells = [
        tuple(
            ",".join(f"{form}:{level}" for form, level in value.items())
            if isinstance(value, dict)
            else value
            for value in row.values()
        )
        for row in written
    ]
    return respond_with_table(call, Table(columns, cells))


def _convert_to_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _convert_to_text(level) for name, level in value.items()}
    return str(value)


def read_rights_rows(call: Call) -> list[Row]:
    """Return imported users or roles, with rights to instruments as ``form:1,other:0``.

    Raises:
        RequestError: The data is not in the format.
    """
    data = call.parameters.get_text("data")
    if call.format == "json":
        try:
            rows = json.loads(data)
            for row in rows:
                for name in BY_FORM:
                    if isinstance(row.get(name), dict):
                        row[name] = ",".join(f"{form}:{level}" for form, level in row[name].items())
            data = json.dumps(rows)
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise RequestError(400, UNREADABLE) from None
    return read_rows(data, call.format)


def apply_rights_row(call: Call, rights: Rights, row: Row, owner: str) -> Rights:
    """Return rights with the changes of an imported row, whose blanks change nothing.

    Args:
        call: Call of the import.
        rights: Rights before.
        row: Row of rights and other columns, which are ignored.
        owner: User or role that the message of a refusal names.

    Raises:
        RequestError: An instrument does not exist (known for roles), or a right is not a number
            (guess).
    """
    known = {form.instrument_name for form in call.project.structure.instruments}
    given: dict[str, Any] = {}
    for column in fields(Rights):
        text = row.get(column.name, "")
        if text == "" or column.name in TEXTS:
            continue
        if column.name not in BY_FORM:
            given[column.name] = text
            continue
        pairs = dict(pair.strip().split(":", 1) for pair in text.split(",") if ":" in pair)
        for form in pairs:
            if form not in known:
                raise RequestError(
                    400,
                    f'The form named "{form}" is incorrect for the {owner} The form does not '
                    "exist in this project.",
                )
        given[column.name] = {**getattr(rights, column.name), **pairs}
    try:
        return rights.with_changes(given)
    except ValueError as error:
        raise RequestError(400, str(error)) from None


def list_form_rights(version: str) -> Mapping[FormRight, int]:
    """Return the codes of the rights to an instrument in a version of REDCap."""
    if parse_version(version) >= _BIT_RIGHTS_SINCE:
        return {"none": 128, "read": 129, "edit": 130}
    return {"none": 0, "read": 2, "edit": 1}


def build_minimal_rights(structure: REDCapProject) -> Rights:
    """Return the rights of a new user or role before its row: none, as REDCap documents."""
    forms = dict.fromkeys((form.instrument_name for form in structure.instruments), 0)
    none = list_form_rights(structure.version)["none"]
    flags = {column.name: 0 for column in fields(Rights) if column.name not in (*BY_FORM, *TEXTS)}
    by_form = {"forms": dict.fromkeys(forms, none), "forms_export": forms}
    return Rights.from_row({**flags, **by_form})


def refuse_unknown_columns(rows: Iterable[Row], columns: Iterable[str]) -> None:
    """Refuse rows with columns that are neither rights nor named here.

    Raises:
        RequestError: A row has another column (guess).
    """
    known = {*columns, *(column.name for column in fields(Rights))}
    if unknown := sorted({name for row in rows for name in row} - known):
        raise RequestError(400, f"These columns are not known: {', '.join(unknown)}")
