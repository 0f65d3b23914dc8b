"""The references of logic, such as ``[event][field][2]``: their fields and their values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from redcap_dagster.project import Column, Event, REDCapProject
from redcap_dagster.project.logic import (
    Facts,
    LogicError,
    Node,
    Reference,
    list_references,
    list_smart_variables,
)
from redcap_dagster.project.logic.events import find_event
from redcap_dagster.project.system_columns import status_column
from redcap_dagster.project.validations import shows_other_dates
from redcap_dagster.sandbox.store.columns import index_columns
from redcap_dagster.sandbox.store.row_keys import RowKey, list_row_forms
from redcap_dagster.sandbox.store.store import Store, StoredProject

_COMMA: Final = "_comma_decimal"


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

    def find_event(self, name: str) -> str:
        """Unique name of another event, such as the previous one."""
        return find_event(self.project.structure, name, self.row_key.event, None) or ""


# That they are blank if there is no value is a guess.
_SMART: Final[Mapping[str, Callable[[_Row], str]]] = {
    "record-name": lambda row: row.row_key.record,
    "record-dag-name": lambda row: row.group,
    "user-name": lambda row: row.project.username,
    "user-dag-name": lambda row: row.project.rights.data_access_group,
    "project-id": lambda row: str(row.project.structure.info.project_id),
    "event-name": lambda row: row.row_key.event,
    "event-label": lambda row: row.event.event_name if row.event else "",
    "event-id": lambda row: str(row.event.event_id or "") if row.event else "",
    "previous-event-name": lambda row: row.find_event("previous-event-name"),
    "next-event-name": lambda row: row.find_event("next-event-name"),
    "first-event-name": lambda row: row.find_event("first-event-name"),
    "last-event-name": lambda row: row.find_event("last-event-name"),
    "arm-number": lambda row: str(row.event.arm_num) if row.event else "",
    "arm-label": lambda row: row.arm,
    "current-instance": lambda row: str(row.row_key.instance or 1),
}


def check_references(structure: REDCapProject, logic: Node) -> None:
    """Refuse logic with references that the sandbox cannot evaluate.

    An event that the project does not have is not refused: its values are blank.

    Raises:
        LogicError: The project does not have the field, or the sandbox does not know the smart
            variable.
    """
    columns = index_columns(structure)
    for reference in list_references(logic):
        column = columns.get(find_column(structure, reference))
        is_option = reference.code is not None
        is_id = reference.field == structure.record_id_field and not is_option
        if not is_id and (column is None or (column.choice is not None) != is_option):
            raise LogicError(f"the project has no field {reference.field!r} for this reference")
    if any(variable.name not in _SMART for variable in list_smart_variables(logic)):
        raise LogicError("it has a reference that this sandbox does not know")


def find_column(structure: REDCapProject, reference: Reference) -> str:
    """Return the export column that a reference names."""
    if reference.code is None:
        return reference.field
    return structure.export_column(reference.field, reference.code)


def make_facts_reader(
    store: Store, project: StoredProject, records: Sequence[str], logic: Node
) -> Callable[[RowKey], Facts]:
    """Return a function that returns the facts of a row, with which logic is evaluated.

    Args:
        store: Store that has the project.
        project: Project of the rows.
        records: Records of the rows; none means all.
        logic: Logic, whose references `check_references` accepts.
    """
    structure, groups = project.structure, store.list_access_groups(project)
    events = {event.unique_event_name: event for event in structure.events}
    values = _StoredValues.read(store, project, records, logic)
    codes = frozenset(choice.code for choice in structure.missing_data_codes)
    other_dates = frozenset(each.field_name for each in structure.fields if shows_other_dates(each))
    now = store.now()

    def read_facts(row_key: RowKey) -> Facts:
        event = events.get(row_key.event)
        group = groups.get((row_key.record, event.arm_num if event else 0), "")
        row = _Row(project, row_key, event, group)
        return Facts(
            lambda reference: values.read_value(reference, row_key),
            lambda variable: _SMART[variable.name](row),
            codes,
            now,
            other_dates,
        )

    return read_facts


@dataclass(frozen=True, slots=True)
class _StoredValues:
    """The stored values of some records that the references of logic name.

    Attributes:
        structure: Structure of the project.
        columns: Columns of the project, by name.
        names: Name of the column of each reference.
        numbers: Number of each row in the store.
        values: Values by number of the row and name of the column.
        instances: Instances by record, event and instrument.
    """

    structure: REDCapProject
    columns: Mapping[str, Column]
    names: Mapping[Reference, str]
    numbers: Mapping[RowKey, int]
    values: Mapping[tuple[int, str], str]
    instances: Mapping[tuple[str, str, str], Sequence[int]]

    @classmethod
    def read(
        cls, store: Store, project: StoredProject, records: Sequence[str], logic: Node
    ) -> Self:
        """Return the values of some records to which logic refers; none named means all."""
        structure = project.structure
        names = {each: find_column(structure, each) for each in list_references(logic)}
        numbers = {row_key: number for number, row_key in store.find_rows(project, records, ())}
        found = store.find_values(project, records, (), tuple(set(names.values())))
        instances: dict[tuple[str, str, str], list[int]] = {}
        for row_key in numbers:
            place = (row_key.record, row_key.event, row_key.instrument)
            instances.setdefault(place, []).append(row_key.instance)
        values = {(number, name): value for number, name, value in found}
        return cls(structure, index_columns(structure), names, numbers, values, instances)

    def read_value(self, reference: Reference, row_key: RowKey) -> str:
        """Return the value of a reference in a row; blank if it has none."""
        if reference.field == self.structure.record_id_field:
            return row_key.record
        column = self.columns[self.names[reference]]
        form = column.field.form_name
        value_row = self._find_row(reference, row_key, form)
        if value_row is None or form not in list_row_forms(
            self.structure, value_row.event, value_row.instrument
        ):
            return ""
        # A value that was never saved is as in an export: an unticked option, an incomplete form.
        blank = "0" if column.choice or column.name == status_column(form) else ""
        value = self.values.get((self.numbers.get(value_row, 0), column.name), blank)
        # A server was seen to calculate with these, so they are numbers in logic.
        return value.replace(",", ".") if column.field.validation.endswith(_COMMA) else value

    def _find_row(self, reference: Reference, row_key: RowKey, form: str) -> RowKey | None:
        """Return the row that has the value; None where the project does not have its event."""
        if not (reference.event or reference.instance):
            return row_key
        event = find_event(self.structure, reference.event, row_key.event, form)
        if event is None:
            return None
        repeats = event in self.structure.events_where_repeating(form)
        instrument = form if repeats else ""
        if not (repeats or event in self.structure.repeating_events):
            return RowKey(row_key.record, event, instrument)
        instance = self._find_instance(reference, row_key, event, instrument)
        return RowKey(row_key.record, event, instrument, instance)

    def _find_instance(
        self, reference: Reference, row_key: RowKey, event: str, instrument: str
    ) -> int:
        place = (event, instrument)
        own = row_key.instance if (row_key.event, row_key.instrument) == place else 0
        known = self.instances.get((row_key.record, *place), [0])
        match reference.instance:
            case "first-instance":
                return min(known)
            case "last-instance":
                return max(known)
            case "previous-instance":
                return own - 1
            case "next-instance":
                return own + 1
            case "current-instance" | "":
                return own or 1  # the first, for a row without instance (guess)
            case "new-instance":
                return -1
            case number:
                return int(number)
