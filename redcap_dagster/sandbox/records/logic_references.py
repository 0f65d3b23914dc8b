"""The references of logic, such as ``[event][field][2]``: their fields and their values."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from redcap_dagster.project import Event, REDCapProject
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.sandbox.logic import LogicError
from redcap_dagster.sandbox.logic.tree import Parts
from redcap_dagster.sandbox.store.columns import index_columns
from redcap_dagster.sandbox.store.row_keys import RowKey, list_row_forms
from redcap_dagster.sandbox.store.store import Store, StoredProject

_FIELD: Final = re.compile(r"([a-z][a-z0-9_]*)(?:\((.+)\))?")
_INSTANCE: Final = re.compile(r"[0-9]{1,5}|(first|last|current|previous|next)-instance")
_COMMA: Final = "_comma_decimal"


@dataclass(frozen=True, slots=True)
class ResolvedReference:
    """A reference with the export column that it names.

    Attributes:
        column: Export column, or name of a smart variable.
        event: Unique event name. Defaults to a blank, for the event of the row.
        instance: Instance, as a number or a smart variable. Defaults to a blank.
    """

    column: str
    event: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as smart variables need it, with its event and access group."""

    project: StoredProject
    row_key: RowKey
    event: Event | None
    group: str

    @property
    def arm(self) -> str:
        """Name of the arm."""
        arms = {arm.arm_num: arm.name for arm in self.project.structure.arms}
        return arms.get(self.event.arm_num, "") if self.event else ""


# That they are blank if there is no value is a guess.
_SMART: Final[Mapping[str, Callable[[_Row], str]]] = {
    "record-name": lambda row: row.row_key.record,
    "record-dag-name": lambda row: row.group,
    "user-name": lambda row: row.project.username,
    "user-dag-name": lambda row: row.project.rights.data_access_group,
    "project-id": lambda row: str(row.project.structure.info.project_id),
    "event-name": lambda row: row.row_key.event,
    "event-label": lambda row: row.event.event_name if row.event else "",
    "arm-number": lambda row: str(row.event.arm_num) if row.event else "",
    "arm-label": lambda row: row.arm,
    "current-instance": lambda row: str(row.row_key.instance or 1),
}


def resolve_reference(structure: REDCapProject, parts: Parts) -> ResolvedReference:
    """Return the column, event and instance that a reference names.

    Raises:
        LogicError: The project does not have the field or event, or the sandbox does not know the
            smart variable.
    """
    *rest, last = parts
    event, instance = "", ""
    if rest and _INSTANCE.fullmatch(last):
        instance, last = last, rest.pop()
    if rest and rest[-1] in {event.unique_event_name for event in structure.events}:
        event = rest.pop()
    elif rest == ["event-name"]:
        rest = []
    if not rest and last in _SMART:
        return ResolvedReference(last)
    found = _FIELD.fullmatch(last)
    if rest or found is None:
        raise LogicError("it has a reference that this sandbox does not know")
    field, code = found[1], found[2]
    column = field if code is None else structure.export_column(field, code.strip())
    known = index_columns(structure).get(column)
    is_id = field == structure.record_id_field and code is None
    if not is_id and (known is None or (known.choice is not None) != (code is not None)):
        raise LogicError(f"the project has no field {field!r} for this reference")
    return ResolvedReference(column, event, instance)


def make_value_reader(
    store: Store,
    project: StoredProject,
    records: Sequence[str],
    references: Iterable[ResolvedReference],
) -> Callable[[ResolvedReference, RowKey], str]:
    """Return a function that reads the value of a reference in a row.

    Args:
        store: Store that has the project.
        project: Project of the rows.
        records: Records of the rows; none means all.
        references: References that the function is to read.
    """
    structure, groups = project.structure, store.list_access_groups(project)
    events = {event.unique_event_name: event for event in structure.events}
    columns = index_columns(structure)
    names = tuple({reference.column for reference in references})
    numbers = {row_key: number for number, row_key in store.find_rows(project, records, ())}
    values: dict[tuple[int, str], str] = {
        (number, name): value
        for number, name, value in store.find_values(project, records, (), names)
    }
    instances: dict[tuple[str, str, str], list[int]] = {}
    for row_key in numbers:
        instances.setdefault((row_key.record, row_key.event, row_key.instrument), []).append(
            row_key.instance
        )

    def find_instance(reference: ResolvedReference, row_key: RowKey, event: str, form: str) -> int:
        own = row_key.instance if (row_key.event, row_key.instrument) == (event, form) else 0
        match reference.instance:
            case "first-instance":
                return min(instances.get((row_key.record, event, form), [0]))
            case "last-instance":
                return max(instances.get((row_key.record, event, form), [0]))
            case "previous-instance":
                return own - 1
            case "next-instance":
                return own + 1
            case "current-instance" | "":
                return own or 1  # the first, for a row without instance (guess)
            case number:
                return int(number)

    def read_value(reference: ResolvedReference, row_key: RowKey) -> str:
        if reference.column in _SMART:
            row_event = events.get(row_key.event)
            arm = row_event.arm_num if row_event else 0
            group = groups.get((row_key.record, arm), "")
            return _SMART[reference.column](_Row(project, row_key, row_event, group))
        if reference.column == structure.record_id_field:
            return row_key.record
        column = columns[reference.column]
        form = column.field.form_name
        value_row = row_key
        if reference.event or reference.instance:
            event = reference.event or row_key.event
            repeats = event in structure.events_where_repeating(form)
            instrument = form if repeats else ""
            value_row = RowKey(row_key.record, event, instrument)
            if repeats or event in structure.repeating_events:
                instance = find_instance(reference, row_key, event, instrument)
                value_row = RowKey(row_key.record, event, instrument, instance)
        if form not in list_row_forms(structure, value_row.event, value_row.instrument):
            return ""
        # A value that was never saved is as in an export: an unticked option, an incomplete form.
        blank = "0" if column.choice or column.name == status_column(form) else ""
        value = values.get((numbers.get(value_row, 0), column.name), blank)
        # A server was seen to calculate with these, so they are numbers in logic.
        return value.replace(",", ".") if column.field.validation.endswith(_COMMA) else value

    return read_value
