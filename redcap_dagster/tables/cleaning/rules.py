"""The options of `clean`: missing markers, labels, checkboxes, types."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

from redcap_dagster.options import option
from redcap_dagster.tables.cleaning.column_types import FieldType


@option
class CleaningRules:
    """How records become clean tables.

    Attributes:
        missing_values: Markers that people type for a missing value; they become null. A value is
            a marker if it equals one exactly. The project's own missing data codes are always
            markers. Defaults to ``?``.
        labels: Content of a radio or dropdown column: the ``labels`` of the choices, their
            ``codes``, or ``both``, with the code in a second column ``FIELD_code``. Defaults to
            ``labels``.
        checkboxes: Columns of a checkbox: ``columns``, a boolean column for each option, or
            ``lists``, one column with a list of the ticked options. Defaults to ``columns``.
        missing_reasons: Whether each field has a second column ``FIELD_missing`` with the reason
            why a cell is null: ``not asked`` (by branching logic or action tags), ``blank`` (it was
            asked), the marker or label of the missing data code, ``unfit`` (an invalid value), or
            ``cannot be said`` (whether it was asked). Defaults to False.
        infer_types: Whether a text field without validation becomes integer or double if all its
            values are numbers in one form: ``4`` and ``4.5``, or ``4.50`` and ``5.00``. Defaults to
            True.
        types: Types of fields, by field name, which override dictionary and inference: ``text``,
            ``integer``, ``double``, ``boolean``, ``date``, ``datetime`` or ``time``. Defaults to
            none.
        keep_unsaved: Whether rows of instruments that were never saved are kept; see
            `split_by_instrument`. Defaults to False.

    Raises:
        ValueError: An option has a value that is not one of those listed here.

    Example:
        >>> CleaningRules(missing_values=["?", "n/a"], types={"zip": "text"}).missing_values
        ('?', 'n/a')
    """

    missing_values: Sequence[str] = ("?",)
    labels: Literal["labels", "codes", "both"] = "labels"
    checkboxes: Literal["columns", "lists"] = "columns"
    missing_reasons: bool = False
    infer_types: bool = True
    types: Mapping[str, FieldType] = field(default_factory=dict)
    keep_unsaved: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "missing_values", tuple(self.missing_values))
        object.__setattr__(self, "types", dict(self.types))
