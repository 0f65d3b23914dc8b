"""What each rule of data quality is called, its letter in REDCap, and what it expects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class RuleDescription:
    """A rule, as lists and workbooks explain it.

    Attributes:
        rule: Name of the rule: that of its check, or of the project's own.
        letter: REDCap's letter; blank for a rule that REDCap does not have.
        expects: What the rule expects, in a sentence.
    """

    rule: str
    letter: str
    expects: str


VALUES_FIT_TYPES: Final = RuleDescription(
    "values_fit_types",
    "C",
    "Values are valid for the validations of their fields and the types of their columns. Values "
    "that do not have the type are null.",
)
WITHIN_RANGE: Final = RuleDescription(
    "within_range", "D", "Values are between the minimum and the maximum that the dictionary gives."
)
CHOICES_KNOWN: Final = RuleDescription(
    "choices_known", "G", "Codes are among the choices of their fields. Unknown codes are null."
)
REQUIRED_FILLED: Final = RuleDescription(
    "required_filled",
    "B",
    "Required fields that were asked are filled where the status of the instrument is Complete.",
)
HIDDEN_FILLED: Final = RuleDescription(
    "hidden_filled",
    "F",
    "No field has a value where its branching logic hides it. Calculated fields and missing data "
    "codes are left out.",
)
CALCULATIONS_CORRECT: Final = RuleDescription(
    "calculations_correct",
    "H",
    "Calculated fields have the results of their calculations, where these can be evaluated.",
)
SECONDARY_UNIQUE: Final = RuleDescription(
    "secondary_unique",
    "",
    "No two records have the same value of the project's secondary unique field.",
)
TICKS_ALLOWED: Final = RuleDescription(
    "ticks_allowed",
    "",
    "The ticked options of checkboxes are those that @NONEOFTHEABOVE and @MAXCHECKED allow.",
)
BLANK_VALUES: Final = RuleDescription("blank_values", "A", "Every field that was asked is filled.")
OUTLIERS: Final = RuleDescription(
    "outliers", "E", "Numbers are within two standard deviations of the mean of their field."
)
MISSING_CODES_USED: Final = RuleDescription(
    "missing_codes_used", "I", "Fields hold no missing data codes."
)

DESCRIPTIONS: Final[Mapping[str, RuleDescription]] = {
    each.rule: each
    for each in (
        VALUES_FIT_TYPES,
        WITHIN_RANGE,
        CHOICES_KNOWN,
        REQUIRED_FILLED,
        HIDDEN_FILLED,
        CALCULATIONS_CORRECT,
        SECONDARY_UNIQUE,
        TICKS_ALLOWED,
        BLANK_VALUES,
        OUTLIERS,
        MISSING_CODES_USED,
    )
}
"""The rules of this package, by name."""
