"""The grammar of choice lists: ``code, label | code, label``.

Segments are split at ``|``, a segment at its first comma, so that labels may hold commas.
Evidence: dictionaries of real servers; see the tests for each form that has been met.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a multiple-choice field: the stored code and the label shown to people."""

    code: str
    label: str


def parse_choices(text: str) -> tuple[Choice, ...]:
    """Read a choice list.

    Empty segments are skipped (``|1, a| |2, b|``). A segment without a comma is an option of an
    old label-only list, whose code is the label. A blank label (``3,``) is kept blank. Where a
    code comes twice the first stands, as only one label can be shown for it.

    Example:
        >>> parse_choices("1, Yes, often | 0, No")
        (Choice(code='1', label='Yes, often'), Choice(code='0', label='No'))
    """
    choices: dict[str, Choice] = {}
    for segment in text.split("|"):
        code, comma, label = (part.strip() for part in segment.partition(","))
        if not comma:
            label = code
        if code:
            choices.setdefault(code, Choice(code, label))
    return tuple(choices.values())


def format_choices(choices: tuple[Choice, ...]) -> str:
    """Write a choice list the way the API sends it.

    Example:
        >>> format_choices((Choice("1", "Yes"), Choice("0", "No")))
        '1, Yes | 0, No'
    """
    return " | ".join(f"{choice.code}, {choice.label}" for choice in choices)


def checkbox_column(field_name: str, code: str) -> str:
    """Name the export column of one checkbox option.

    The code is lower-cased and every character outside ``[a-z0-9_]`` becomes ``_``: recorded for
    ``-99`` (``field____99``). Two codes can fall onto one column; callers must notice.

    Example:
        >>> checkbox_column("race", "-99")
        'race____99'
    """
    return f"{field_name}___{re.sub(r'[^a-z0-9_]', '_', code.lower())}"
