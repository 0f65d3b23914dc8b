"""The study that the code blocks of README and docs talk of."""

from typing import Any

from tests.dictionary import field

EXPORTS: dict[str, Any] = {
    "metadata": [
        field("record_id", "baseline", label="Record ID"),
        field(
            "age",
            "baseline",
            validation="integer",
            label="Age",
            minimum="18",
            maximum="99",
            required_field="y",
        ),
        field(
            "treatment",
            "baseline",
            type="radio",
            label="Treatment",
            choices="1, Drug | 2, Placebo",
        ),
        field("zip", "baseline", label="ZIP code"),
        field("scan", "baseline", type="file", label="Scan"),
        field(
            "visit_date",
            "visit",
            label="Date of the visit",
            validation="date_ymd",
        ),
        field("weight", "visit", validation="integer", label="Weight in kg"),
        field("score", "follow_up_1", validation="integer", label="Score"),
        field("comment", "follow_up_2", type="notes", label="Comment"),
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
