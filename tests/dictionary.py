"""The structures of made-up projects: a row for each field, and their events."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

VISIT_THEN_DRUG: Final[Mapping[str, Any]] = {
    "arm": [{"arm_num": 1, "name": "One"}],
    "event": [
        {"event_name": "First", "arm_num": 1, "unique_event_name": "first_arm_1"},
        {"event_name": "Then", "arm_num": 1, "unique_event_name": "then_arm_1"},
    ],
    "formEventMapping": [
        {"arm_num": 1, "unique_event_name": "first_arm_1", "form": "visit"},
        {"arm_num": 1, "unique_event_name": "then_arm_1", "form": "drug"},
    ],
    "repeatingFormsEvents": [{"event_name": "then_arm_1", "form_name": "drug"}],
}
"""Two events: a visit, then doses of a drug, which repeat."""


def field(
    name: str,
    form: str = "visit",
    *,
    type: str = "text",  # noqa: A002
    label: str = "",
    choices: str = "",
    validation: str = "",
    minimum: str = "",
    maximum: str = "",
    note: str = "",
    **columns: str,
) -> dict[str, str]:
    """Return the row of a field as REDCap's dictionary has it, without columns that are blank.

    Args:
        name: The field's name.
        form: The instrument that it is on.
        type: The kind of field, such as ``"radio"``. Defaults to ``"text"``.
        label: The field's label.
        choices: Its choices, as in ``"1, Yes | 0, No"``, or its calculation.
        validation: The kind of text that it takes, such as ``"integer"``.
        minimum: The least value that it takes.
        maximum: The greatest value that it takes.
        note: The field's note.
        columns: Other columns of the dictionary, by their names in REDCap.
    """
    others = {
        "field_label": label,
        "select_choices_or_calculations": choices,
        "field_note": note,
        "text_validation_type_or_show_slider_number": validation,
        "text_validation_min": minimum,
        "text_validation_max": maximum,
        **columns,
    }
    filled = {column: cell for column, cell in others.items() if cell}
    return {"field_name": name, "form_name": form, "field_type": type, **filled}


def in_events(
    metadata: Sequence[Mapping[str, str]], events: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return the exports of a longitudinal project with one arm.

    Args:
        metadata: Its dictionary.
        events: The instruments by unique event name, such as ``visit_arm_1``.
    """
    return {
        "metadata": metadata,
        "arm": [{"arm_num": 1, "name": "Arm 1"}],
        "event": [
            {
                "event_name": name.removesuffix("_arm_1"),
                "arm_num": 1,
                "unique_event_name": name,
            }
            for name in events
        ],
        "formEventMapping": [
            {"arm_num": 1, "unique_event_name": name, "form": form}
            for name, forms in events.items()
            for form in forms
        ],
    }
