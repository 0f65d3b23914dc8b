"""How records become clean tables: what a user can ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

from redcap_dagster.options import option
from redcap_dagster.tables.types import TYPES


@option
class CleaningRules:
    """How records become clean tables.

    Attributes:
        missing_values: Markers that people type for a missing value; in `clean` they are null. A
            value is a marker if it equals one, to the letter. The project's own missing data codes
            always count as markers.
        labels: What a radio or dropdown column holds: the choice's label, its code, or both (the
            code then in a second column, ``FIELD_code``).
        checkboxes: How a checkbox is kept: ``columns``, a boolean for each option as REDCap exports
            it, or ``lists``, one column with the list of what is ticked (labels, codes or both as
            above).
        missing_reasons: Give each field a second column, ``FIELD_missing``, that says why a cell is
            null: ``blank``, ``unfit``, or the marker or missing data code (its label) that stood
            there.
        infer_types: Whether a text field without validation becomes integer or double where all
            its values are plain numbers.
        types: Field name to ``text``, ``integer``, ``double``, ``boolean``, ``date``, ``datetime``
            or ``time``: overrules the dictionary and the inference.
        keep_unsaved: Keep rows of forms that were never saved; see `split_by_instrument`.

    Example:
        >>> CleaningRules(missing_values=["?", "n/a"], types={"zip": "text"}).missing_values
        ('?', 'n/a')
    """

    missing_values: Sequence[str] = ("?",)
    labels: Literal["labels", "codes", "both"] = "labels"
    checkboxes: Literal["columns", "lists"] = "columns"
    missing_reasons: bool = False
    infer_types: bool = True
    types: Mapping[str, str] = field(default_factory=dict)
    keep_unsaved: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.missing_values, str):
            raise TypeError(
                "missing_values is a list of markers, such as ['?']; got a single text."
            )
        if not all(isinstance(marker, str) for marker in self.missing_values):
            raise TypeError("missing_values are texts: put numbers in quotes, as ['-9'].")
        if self.labels not in ("labels", "codes", "both"):
            raise ValueError("labels is 'labels', 'codes' or 'both'.")
        if self.checkboxes not in ("columns", "lists"):
            raise ValueError("checkboxes is 'columns' or 'lists'.")
        unknown = sorted(set(self.types.values()) - TYPES.keys())
        if unknown:
            raise ValueError(f"types: {unknown} are no types; the types are {sorted(TYPES)}.")
        object.__setattr__(self, "missing_values", tuple(self.missing_values))
        object.__setattr__(self, "types", dict(self.types))
