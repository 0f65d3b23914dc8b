"""Menus of the names that a project has, for the parameters of a method of the API."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from redcap_dagster.api.snippets import Method, Parameter, Value
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.sandbox.pages.visit import Visit
from redcap_dagster.sandbox.people.data_access_groups import load_groups
from redcap_dagster.sandbox.people.roles import load_roles
from redcap_dagster.sandbox.records.layout import hides_record_id
from redcap_dagster.sandbox.records.reports import list_reports
from redcap_dagster.sandbox.records.selection import filter_visible_rows, make_record_sort_key
from redcap_dagster.sandbox.store.store import StoredProject

Menu = Mapping[str, Mapping[str, str]]
"""The texts of a menu's entries by name, in groups by their label; a blank label for no group."""

_MOST_ENTRIES: Final = 5_000
_LONGEST_LABEL: Final = 60


@dataclass(frozen=True, slots=True)
class Input:
    """A parameter as the page asks for it.

    Attributes:
        parameter: Parameter.
        value: Its value: what was entered or chosen.
        menu: Menu of its names or choices; None for all that is typed, such as names that the
            visitor may not list, or too many of them.
    """

    parameter: Parameter
    value: Value
    menu: Menu | None

    @property
    def chosen(self) -> tuple[str, ...]:
        """Names that were chosen."""
        if isinstance(self.value, bool):
            return ()
        return (self.value,) * bool(self.value) if isinstance(self.value, str) else (*self.value,)

    @property
    def entries(self) -> int:
        """Number of the menu's entries."""
        return sum(map(len, (self.menu or {}).values()))


def list_inputs(
    visit: Visit, project: StoredProject, method: Method, values: Mapping[str, Value]
) -> list[Input]:
    """Return the inputs of a method's parameters, with the values that were given.

    A menu has no name that the API would not show to the visitor.
    """
    return [
        Input(
            parameter,
            values.get(parameter.name, parameter.default if parameter.kind == "choice" else ""),
            _make_menu(visit, project, method, parameter),
        )
        for parameter in method.parameters
    ]


def _make_menu(
    visit: Visit, project: StoredProject, method: Method, parameter: Parameter
) -> Menu | None:
    structure, rights = project.structure, project.rights
    match parameter.names_of:
        case "":
            return {"": {name: name for name in parameter.choices}} if parameter.choices else None
        case "fields":
            return _list_fields(structure, method)
        case "forms":
            labels = [(row.instrument_name, row.instrument_label) for row in structure.instruments]
        case "events":
            labels = [
                (row.unique_event_name, f"{row.event_name}, arm {row.arm_num}")
                for row in structure.events
            ]
        case "arms":
            labels = [(str(row.arm_num), row.name) for row in structure.arms]
        case "records":
            records = _list_records(visit, project)
            return None if records is None else {"": {name: name for name in records}}
        case "reports":
            labels = [(str(number), "") for number in list_reports(visit.store, project)]
        case "users" if rights.user_rights and rights.api_export:
            labels = [(name, "") for name in visit.store.list_users(project.id)]
        case "roles" if rights.user_rights and rights.api_export:
            roles = load_roles(visit.make_call(project))
            labels = [(name, role.label) for name, role in roles.items()]
        case "dags" if rights.data_access_groups and rights.api_export:
            groups = load_groups(visit.store, project)
            labels = [(name, group.label) for name, group in groups.items()]
        case _:
            return None
    return {"": _write_entries(labels)}


def _write_entries(labels: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return the text of each name: the name, and the label if it says more."""
    texts = {}
    for name, label in labels:
        words = " ".join(label.split())
        short = words if len(words) <= _LONGEST_LABEL else f"{words[: _LONGEST_LABEL - 3]}..."
        texts[name] = f"{name}: {short}" if short not in ("", name) else name
    return texts


def _list_fields(structure: REDCapProject, method: Method) -> Menu | None:
    """Return the fields by instrument; those of files for a method of files."""
    menu: dict[str, Mapping[str, str]] = {}
    for form in structure.instruments:
        labels = [
            (field.field_name, field.field_label)
            for field in structure.fields
            if field.form_name == form.instrument_name
            and (method.content != "file" or field.field_type == "file")
        ]
        if method.content == "record":
            labels.append((status_column(form.instrument_name), "status of the instrument"))
        if labels:
            menu[form.instrument_label or form.instrument_name] = _write_entries(labels)
    return menu if sum(map(len, menu.values())) <= _MOST_ENTRIES else None


def _list_records(visit: Visit, project: StoredProject) -> list[str] | None:
    """Return the record ids that the API would export, or None."""
    level = project.rights.get_export_level(project.structure.fields[0].form_name)
    if not (project.rights.api_export and level) or hides_record_id(project):
        return None
    rows = visit.store.find_rows(project, (), ())
    records = {row_key.record for _, row_key in filter_visible_rows(visit.make_call(project), rows)}
    return sorted(records, key=make_record_sort_key) if len(records) <= _MOST_ENTRIES else None
