"""A project with labels, and with texts that delimiters of CSV could break."""

from typing import Any

from tests.dictionary import field

METADATA = [
    field("record_id", label="Study ID"),
    field("note", label="Note,\n \"as said\""),
    field("race", type="checkbox", label="Race",
          choices="1, A | 2, B"),
    field("dose", "drug", label="Dose"),
]  # fmt: skip
TEXTS = [",", ";", "|", "^", "\t", 'a"b', "a\nb", "", "plain"]
ROWS: list[dict[str, object]] = [
    {"record_id": str(number), "note": text, "race___1": "1", "dose": str(number)}
    for number, text in enumerate(TEXTS, 1)
]

LABELED: dict[str, Any] = {"exports": {"metadata": METADATA}, "records": ROWS}
