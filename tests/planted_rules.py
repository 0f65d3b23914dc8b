"""Which rule finds each kind of error that is planted in made-up studies, and where."""

from collections import Counter
from typing import Any

from redcap_dagster.sandbox.synthesis import MadeUpStudy
from tests.dagster_runs import Study

RULES = {
    "B": "required_filled",
    "C": "values_fit_types",
    "D": "within_range",
    "F": "hidden_filled",
    "G": "choices_known",
    "H": "calculations_correct",
    "unique": "secondary_unique",
    "none_of_the_above": "ticks_allowed",
    "max_checked": "ticks_allowed",
}
QUERY_RULES = list(dict.fromkeys(RULES.values()))


def count_planted(made: MadeUpStudy) -> Counter[Any]:
    """Return the queries that the errors of a made-up study are to be found as."""
    forms = {each.field_name: each.form_name for each in made.project.fields}
    return Counter(
        (
            each.row_key.record,
            each.row_key.event or None,
            each.row_key.instance or None,
            forms[each.field],
            each.field,
            RULES[each.kind],
        )
        for error in made.errors
        for each in error.findings
    )


def count_found(study: Study) -> Counter[Any]:
    """Return the queries in the open list of a study."""
    keys = ("record", "event", "instance", "instrument", "field", "rule")
    rows = study.table("study_queries.open").to_pylist()
    return Counter(tuple(row[key] for key in keys) for row in rows)
