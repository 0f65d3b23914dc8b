"""The import of a data dictionary."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Final

from redcap_dagster.project import Field, Instrument, REDCapProject, StructureError
from redcap_dagster.project.rows import parse_row
from redcap_dagster.sandbox.calls.call import Call, Handler
from redcap_dagster.sandbox.design.structure_change import (
    make_change_handler,
    read_structure_rows,
    require_development,
)
from redcap_dagster.sandbox.protocol.import_data import Row
from redcap_dagster.sandbox.protocol.parameters import RequestError

_FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_FIELD_TYPES: Final = frozenset(
    {
        "text",
        "notes",
        "calc",
        "dropdown",
        "radio",
        "checkbox",
        "yesno",
        "truefalse",
        "file",
        "slider",
        "descriptive",
        "sql",
    }
)


def replace_dictionary(structure: REDCapProject, rows: Iterable[Row]) -> REDCapProject:
    """Return a project with another dictionary; instruments that stay keep their labels.

    Raises:
        RequestError: A field is invalid; the message has its name.
    """
    given = tuple(parse_row(Field, {"field_name": "", "form_name": "", **row}) for row in rows)
    names = [field.field_name for field in given]
    invalid = [
        field.field_name
        for field in given
        if not _FIELD_NAME.fullmatch(field.field_name)
        or not _FIELD_NAME.fullmatch(field.form_name)
        or field.field_type not in _FIELD_TYPES
        or names.count(field.field_name) > 1
    ]
    if invalid or not given:
        raise RequestError(
            400,
            "These fields have an invalid name, form or type, or appear twice: "
            + ", ".join(dict.fromkeys(invalid)),
        )
    labels = {form.instrument_name: form.instrument_label for form in structure.instruments}
    forms = dict.fromkeys(field.form_name for field in given)
    changed = replace(
        structure,
        fields=given,
        instruments=tuple(
            Instrument(form, labels.get(form, form.replace("_", " ").title())) for form in forms
        ),
        field_names=(),
        form_events=tuple(row for row in structure.form_events if row.form in forms),
        repeating=tuple(row for row in structure.repeating if row.form_name in ("", *forms)),
        surveys=tuple(form for form in structure.surveys if form in forms),
    )
    try:
        for form in forms:
            changed.check_columns(form)
    except StructureError as error:
        raise RequestError(400, str(error)) from None
    return changed


def _import_dictionary(call: Call) -> tuple[REDCapProject, int]:
    require_development(call, "metadata")
    rows = read_structure_rows(call, {column.name for column in fields(Field)})
    return replace_dictionary(call.project.structure, rows), len(rows)


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("metadata", "import"): make_change_handler(_import_dictionary, "Upload data dictionary (API)"),
}
