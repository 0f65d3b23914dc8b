"""Which rule finds each kind of error that is planted in made-up studies."""

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
