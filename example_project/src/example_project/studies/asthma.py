"""A made-up trial of an asthma inhaler, with everything that a longitudinal project can have.

It has two arms, an instrument of one event, one of several events, a repeating instrument, a
repeating event, a survey, checkboxes, dates, data access groups and missing data codes. All people
come from a seeded random generator. As in real data, some records are wrong; the checks find them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import numpy as np

from redcap_dagster.project import Field

PEOPLE = 120
ARMS = {1: "Inhaler", 2: "Usual care"}
EVENTS = {
    "enrolment": ("Enrolment", 0, ["enrolment", "visit", "medication"]),
    "month_3": ("Month 3", 90, ["visit", "diary"]),
    "month_6": ("Month 6", 180, ["visit", "diary"]),
    "unscheduled": ("Unscheduled", 999, ["visit"]),
}
NOT_DONE = "-99"
REQUIRED = {"required_field": "y"}


def _valid(kind: str, low: str = "", high: str = "") -> dict[str, str]:
    return {
        "text_validation_type_or_show_slider_number": kind,
        "text_validation_min": low,
        "text_validation_max": high,
    }


def _options(kind: str, choices: str) -> dict[str, str]:
    return {"field_type": kind, "select_choices_or_calculations": choices}


# By instrument: name, label and the other attributes of each field.
FIELDS: dict[str, list[tuple[str, str, dict[str, str]]]] = {
    "enrolment": [
        ("record_id", "Participant", {}),
        ("initials", "Initials", {"identifier": "y"}),
        ("consented_on", "Date of consent", _valid("date_ymd") | REQUIRED),
        ("age", "Age in years", _valid("integer", "18", "80") | REQUIRED),
        ("sex", "Sex", _options("radio", "1, Female | 2, Male")),
        ("smoker", "Smokes", {"field_type": "yesno"}),
        (
            "cigarettes",
            "Cigarettes a day",
            _valid("integer", "1", "60") | REQUIRED | {"branching_logic": "[smoker] = '1'"},
        ),
        (
            "triggers",
            "What brings on an attack",
            _options("checkbox", "1, Pollen | 2, Cold air | 3, Exercise"),
        ),
    ],
    "visit": [
        ("visited_on", "Date of the visit", _valid("date_ymd") | REQUIRED),
        ("fev1", "Litres breathed out in the first second", _valid("number", "0.3", "8")),
    ],
    "medication": [
        ("drug", "Drug", _options("dropdown", "1, Salbutamol | 2, Budesonide | 3, Montelukast")),
        ("taken_since", "Taken since", _valid("date_ymd")),
    ],
    "diary": [
        ("puffs", "Puffs a day", _valid("integer")),
        ("nights", "Nights awake", _options("radio", "0, None | 1, Some | 2, Most")),
    ],
}


def exports() -> Mapping[str, Any]:
    """Return the structure of the trial, as REDCap's API exports it, by content."""
    return {
        "project": {
            "project_title": "Asthma inhaler trial",
            "is_longitudinal": 1,
            "has_repeating_instruments_or_events": 1,
            "surveys_enabled": 1,
            "missing_data_codes": f"{NOT_DONE}, Not done",
        },
        "instrument": [
            {"instrument_name": form, "instrument_label": form.capitalize()} for form in FIELDS
        ],
        "metadata": [
            asdict(Field(name, form, field_label=label, **rest))
            for form, fields in FIELDS.items()
            for name, label, rest in fields
        ],
        "arm": [{"arm_num": arm, "name": name} for arm, name in ARMS.items()],
        "event": [
            {
                "event_name": label,
                "arm_num": arm,
                "day_offset": day,
                "unique_event_name": f"{event}_arm_{arm}",
            }
            for arm in ARMS
            for event, (label, day, _) in EVENTS.items()
        ],
        "formEventMapping": [
            {"arm_num": arm, "unique_event_name": f"{event}_arm_{arm}", "form": form}
            for arm in ARMS
            for event, (_, _, forms) in EVENTS.items()
            for form in forms
        ],
        "repeatingFormsEvents": [
            row
            for arm in ARMS
            for row in (
                {"event_name": f"enrolment_arm_{arm}", "form_name": "medication"},
                {"event_name": f"unscheduled_arm_{arm}", "form_name": ""},
            )
        ],
    }


def records(seed: int = 2024) -> list[dict[str, str]]:
    """Return the records of the trial as a flat export; the same for the same seed.

    Example:
        >>> rows = records()
        >>> rows[0]["redcap_event_name"], rows[0]["visited_on"]
        ('enrolment_arm_2', '2024-01-11')
    """
    rng = np.random.default_rng(seed)
    return [row for number in range(1, PEOPLE + 1) for row in _person(rng, number)]


def _person(rng: np.random.Generator, number: int) -> Iterator[dict[str, str]]:
    """Yield the rows of one person: one per event, and one per instance where something repeats."""
    arm = 1 + number % 2
    consented = date(2024, 1, 8) + timedelta(days=3 * number)
    fev1 = rng.normal(2.6, 0.5)

    def row(event: str, **values: object) -> dict[str, str]:
        return {
            "record_id": str(number),
            "redcap_event_name": f"{event}_arm_{arm}",
            "redcap_data_access_group": "north" if number % 3 else "south",
            **{name: str(value) for name, value in values.items()},
        }

    def visit(day: int) -> dict[str, object]:
        blown = f"{max(fev1 + 0.25 * (arm == 1) * (day > 0) + rng.normal(0, 0.1), 0.6):.2f}"
        return {
            "visited_on": consented + timedelta(days=day),
            "fev1": NOT_DONE if rng.random() < 0.05 else blown,
            "visit_complete": 2,
        }

    yield row(
        "enrolment",
        initials="".join(rng.choice(list("ABCDEFGHIKLMNOPRST"), 2)),
        consented_on=consented,
        # One person is too young. For some, the age was forgotten.
        age=17 if number == 40 else "" if rng.random() < 0.03 else rng.integers(18, 80),
        sex=rng.integers(1, 3),
        smoker=(smoker := int(rng.random() < 0.2)),
        # For some smokers, nobody asked; one person smokes, and was ticked as if not.
        cigarettes=12 if number == 76 else number % 17 + 4 if smoker and number % 5 else "",
        **{f"triggers___{code}": int(rng.random() < 0.4) for code in (1, 2, 3)},
        enrolment_complete=2,
        **visit(0),
    )
    for instance in range(1, rng.integers(1, 4)):
        yield row(
            "enrolment",
            redcap_repeat_instrument="medication",
            redcap_repeat_instance=instance,
            drug=rng.integers(1, 4),
            taken_since=consented - timedelta(days=int(rng.integers(30, 900))),
            medication_complete=2,
        )
    for event, day in (("month_3", 90), ("month_6", 180)):
        if rng.random() < 0.1:
            return  # Lost to follow-up.
        answered = consented + timedelta(days=day, weeks=-1)
        yield row(
            event,
            diary_timestamp=f"{answered} 20:{rng.integers(10, 60)}:00",
            puffs=rng.integers(0, 9),
            nights=rng.integers(0, 3),
            diary_complete=2,
            **visit(day),
        )
    for instance in range(1, rng.integers(1, 4)):
        yield row(
            "unscheduled",
            redcap_repeat_instance=instance,
            **visit(int(rng.integers(20, 200))),
        )
