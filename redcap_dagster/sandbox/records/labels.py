"""The labels that replace codes in the cells of a record export, and its column labels."""

from collections.abc import Mapping

from redcap_dagster.project import REDCapProject
from redcap_dagster.project.system_columns import (
    ACCESS_GROUP,
    EVENT_NAME,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    SURVEY_IDENTIFIER,
)

Labels = Mapping[str, str]


def build_cell_labels(structure: REDCapProject, checkbox_labels: bool) -> dict[str, Labels]:
    """Return the labels of values by column; values that are not listed have no label.

    Args:
        structure: Structure of the project.
        checkbox_labels: Whether a ticked checkbox option shows its label, and an unticked one a
            blank; otherwise they show ``Checked`` and ``Unchecked``.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "visit"},
        ...     {"field_name": "sex", "form_name": "visit", "field_type": "radio",
        ...      "select_choices_or_calculations": "1, Female | 2, Male"}])
        >>> build_cell_labels(project, False)["sex"]
        {'1': 'Female', '2': 'Male'}
    """
    missing = {choice.code: choice.label for choice in structure.missing_data_codes}
    labels: dict[str, Labels] = {
        EVENT_NAME: build_event_labels(structure),
        # Guess.
        REPEAT_INSTRUMENT: {
            form.instrument_name: form.instrument_label for form in structure.instruments
        },
    }
    for form in structure.instruments:
        for column in structure.columns(form.instrument_name):
            if column.choice is None:
                own = {choice.code: choice.label for choice in column.field.choices}
                labels[column.name] = missing | own if own else {}
            elif checkbox_labels:
                labels[column.name] = {"0": "", "1": column.choice.label}
            else:
                labels[column.name] = {"0": "Unchecked", "1": "Checked"}
    return labels


def build_event_labels(structure: REDCapProject) -> Labels:
    """Return the labels of events, with their arm if there are several arms (guess)."""
    names = {arm.arm_num: arm.name for arm in structure.arms}
    several = len({event.arm_num for event in structure.events}) > 1
    return {
        event.unique_event_name: f"{event.event_name} "
        f"(Arm {event.arm_num}: {names.get(event.arm_num, f'Arm {event.arm_num}')})"
        if several
        else event.event_name
        for event in structure.events
    }


def build_column_labels(structure: REDCapProject, header: tuple[str, ...]) -> tuple[str, ...]:
    """Return the column labels of a header, which can repeat, such as ``Complete?``."""
    # The labels of columns that are not in the dictionary are guesses.
    labels = {
        structure.record_id_field: structure.fields[0].field_label,
        EVENT_NAME: "Event Name",
        REPEAT_INSTRUMENT: "Repeat Instrument",
        REPEAT_INSTANCE: "Repeat Instance",
        ACCESS_GROUP: "Data Access Group",
        SURVEY_IDENTIFIER: "Survey Identifier",
    }
    for form in structure.instruments:
        columns = structure.columns(form.instrument_name)
        labels |= {column.name: column.label for column in columns}
    return tuple(labels[name] for name in header)
