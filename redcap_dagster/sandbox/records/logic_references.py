"""What the references of logic mean in a project, and what stands there: ``[event][field][2]``."""

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
    """What a reference stands for.

    Attributes:
        column: The export column, or the name of a smart variable.
        event: The event named; blank for that of the row.
        instance: The instance named, as a number or a smart variable; blank for none.
    """

    column: str
    event: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    """What smart variables tell of: a row, with its event and its access group if there is one."""

    project: StoredProject
    row_key: RowKey
    event: Event | None
    group: str

    @property
    def arm(self) -> str:
        """The name of the arm."""
        arms = {arm.arm_num: arm.name for arm in self.project.structure.arms}
        return arms.get(self.event.arm_num, "") if self.event else ""


# What they are where there is none is a guess: blank.
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
    """Find out what the brackets of a reference name.

    Raises:
        LogicError: The project has no such field or event, or it is a smart variable that is not
            known here.
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
        raise LogicError(f"the project has no field {field!r} to be used so")
    return ResolvedReference(column, event, instance)


def make_value_reader(
    store: Store,
    project: StoredProject,
    records: Sequence[str],
    meanings: Iterable[ResolvedReference],
) -> Callable[[ResolvedReference, RowKey], str]:
    """Make what reads the value of any of these meanings at a row of some records, or of all."""
    structure, groups = project.structure, store.list_access_groups(project)
    events = {event.unique_event_name: event for event in structure.events}
    columns = index_columns(structure)
    names = tuple({meaning.column for meaning in meanings})
    places = {row_key: number for number, row_key in store.find_rows(project, records, ())}
    values: dict[tuple[int, str], str] = {
        (number, name): value
        for number, name, value in store.find_values(project, records, (), names)
    }
    instances: dict[tuple[str, str, str], list[int]] = {}
    for row_key in places:
        instances.setdefault((row_key.record, row_key.event, row_key.instrument), []).append(
            row_key.instance
        )

    def find_instance(meaning: ResolvedReference, row_key: RowKey, event: str, form: str) -> int:
        here = row_key.instance if (row_key.event, row_key.instrument) == (event, form) else 0
        match meaning.instance:
            case "first-instance":
                return min(instances.get((row_key.record, event, form), [0]))
            case "last-instance":
                return max(instances.get((row_key.record, event, form), [0]))
            case "previous-instance":
                return here - 1
            case "next-instance":
                return here + 1
            case "current-instance" | "":
                return here or 1  # without an instance of its own the first (guess)
            case number:
                return int(number)

    def read_value(meaning: ResolvedReference, row_key: RowKey) -> str:
        if meaning.column in _SMART:
            at = events.get(row_key.event)
            group = groups.get((row_key.record, at.arm_num if at else 0), "")
            return _SMART[meaning.column](_Row(project, row_key, at, group))
        if meaning.column == structure.record_id_field:
            return row_key.record
        column = columns[meaning.column]
        form = column.field.form_name
        where = row_key
        if meaning.event or meaning.instance:
            event = meaning.event or row_key.event
            repeats = event in structure.events_where_repeating(form)
            instrument = form if repeats else ""
            where = RowKey(row_key.record, event, instrument)
            if repeats or event in structure.repeating_events:
                instance = find_instance(meaning, row_key, event, instrument)
                where = RowKey(row_key.record, event, instrument, instance)
        if form not in list_row_forms(structure, where.event, where.instrument):
            return ""
        # What was never saved: as an export has it, a box unticked and a form incomplete.
        blank = "0" if column.choice or column.name == status_column(form) else ""
        value = values.get((places.get(where, 0), column.name), blank)
        # A server calculated with these, so to logic they are numbers.
        return value.replace(",", ".") if column.field.validation.endswith(_COMMA) else value

    return read_value
