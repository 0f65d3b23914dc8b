"""The study that the code blocks of README and docs talk of."""

from typing import Any


def _field(name: str, form: str, **more: str) -> dict[str, str]:
    return {"field_name": name, "form_name": form, "field_type": "text", **more}


def _number(name: str, form: str, **more: str) -> dict[str, str]:
    kind = {"text_validation_type_or_show_slider_number": "integer"}
    return _field(name, form, **kind, **more)


EXPORTS: dict[str, Any] = {
    "metadata": [
        _field("record_id", "baseline", field_label="Record ID"),
        _number(
            "age",
            "baseline",
            field_label="Age",
            text_validation_min="18",
            text_validation_max="99",
            required_field="y",
        ),
        _field(
            "treatment",
            "baseline",
            field_type="radio",
            field_label="Treatment",
            select_choices_or_calculations="1, Drug | 2, Placebo",
        ),
        _field("zip", "baseline", field_label="ZIP code"),
        _field("scan", "baseline", field_type="file", field_label="Scan"),
        _field(
            "visit_date",
            "visit",
            field_label="Date of the visit",
            text_validation_type_or_show_slider_number="date_ymd",
        ),
        _number("weight", "visit", field_label="Weight in kg"),
        _number("score", "follow_up_1", field_label="Score"),
        _field("comment", "follow_up_2", field_type="notes", field_label="Comment"),
    ],
    "repeatingFormsEvents": [{"form_name": "visit"}],
}


def _visit(record: str, instance: int, date: str, weight: str) -> dict[str, object]:
    return {
        "record_id": record,
        "redcap_repeat_instrument": "visit",
        "redcap_repeat_instance": instance,
        "visit_date": date,
        "weight": weight,
        "visit_complete": "2",
    }


RECORDS: list[dict[str, object]] = [
    {
        "record_id": "1",
        "age": "40",
        "treatment": "1",
        "zip": "01234",
        "score": "3",
        "baseline_complete": "2",
        "follow_up_1_complete": "2",
    },
    {
        "record_id": "2",
        "age": "?",
        "treatment": "2",
        "zip": "99999",
        "comment": "Well",
        "baseline_complete": "2",
        "follow_up_2_complete": "1",
    },
    _visit("1", 1, "2024-01-31", "70"),
    _visit("1", 2, "2024-02-29", "seventy"),
    _visit("2", 1, "2024-03-31", "81"),
]
