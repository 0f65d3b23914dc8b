"""What a rule of data quality found, row by row."""

import dataclasses

import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class RuleFindings:
    """The rows of an instrument that one rule finds wrong in one field.

    Attributes:
        rule: Name of the rule: that of its check.
        letter: REDCap's letter of the rule; blank if it has none.
        instrument: Name of the instrument.
        field: Name of the field; blank for the row as a whole.
        wrong: Whether each row of the records table is certainly wrong; never null.
        certain: Whether each row was judged; False where it cannot be said.
        read: The values that the rule read, as text, one row for each row.
        text: A sentence that says what is wrong, without values of the record.
        unevaluated: What the dictionary asks for and was not evaluated, such as ``max today``.
            Defaults to blank.
    """

    rule: str
    letter: str
    instrument: str
    field: str
    wrong: pa.BooleanArray = dataclasses.field(repr=False)
    certain: pa.BooleanArray = dataclasses.field(repr=False)
    read: pa.Table = dataclasses.field(repr=False)
    text: str
    unevaluated: str = ""
