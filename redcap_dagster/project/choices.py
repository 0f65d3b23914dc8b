"""Choice lists, ``code, label | code, label``, and the export columns of checkbox options.

A list is split at each ``|``, an option at its first comma: labels may hold commas. The tests have
every kind of list that dictionaries of real servers were seen to have.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a multiple-choice field: the stored code and the label that people see."""

    code: str
    label: str


@lru_cache(maxsize=10_000)
def parse_choices(text: str) -> tuple[Choice, ...]:
    """Return the options of a choice list.

    Empty options are skipped (``|1, a| |2, b|``). A blank label (``3,``) stays blank. Of a code
    that comes twice, the first label is returned. In a list without any comma, as old ones are,
    labels are codes. In other lists, what has no comma and is not a number goes on with the label
    before it: REDCap takes ``|`` in labels, and the API joins options by it.

    Args:
        text: Choice list.

    Example:
        >>> parse_choices("1, Yes, often | 0, No")
        (Choice(code='1', label='Yes, often'), Choice(code='0', label='No'))
        >>> parse_choices("1, One |or| two | 3, Three")
        (Choice(code='1', label='One |or| two'), Choice(code='3', label='Three'))
    """
    choices: dict[str, Choice] = {}
    for option in _split_options(text):
        code, comma, label = (part.strip() for part in option.partition(","))
        if code:
            choices.setdefault(code, Choice(code, label if comma else code))
    return tuple(choices.values())


def _split_options(text: str) -> list[str]:
    """Return the options of a list, of which some may have ``|`` in their labels."""
    options: list[str] = []
    has_codes = "," in text
    for part in text.split("|"):
        is_option = "," in part or not part.strip() or _NUMBER.fullmatch(part.strip())
        if options and has_codes and not is_option and options[-1].strip():
            options[-1] += f"|{part}"
        else:
            options.append(part)
    return options


def format_choices(choices: tuple[Choice, ...]) -> str:
    """Return a choice list as the API sends it.

    Example:
        >>> format_choices((Choice("1", "Yes"), Choice("0", "No")))
        '1, Yes | 0, No'
    """
    return " | ".join(f"{choice.code}, {choice.label}" for choice in choices)


def checkbox_column(field_name: str, code: str) -> str:
    """Return the export column of a checkbox option.

    The code is in lower case, and each character outside of ``[a-z0-9_]`` becomes ``_`` (recorded
    from real servers). Two codes can have the same column: callers must check.

    Args:
        field_name: Name of the checkbox field.
        code: Code of the option.

    Example:
        >>> checkbox_column("race", "-99")
        'race____99'
    """
    return f"{field_name}___{re.sub(r'[^a-z0-9_]', '_', code.lower())}"
