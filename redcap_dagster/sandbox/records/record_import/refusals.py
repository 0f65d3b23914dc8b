"""The refusal of import data: a row for each value that is not valid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from redcap_dagster.sandbox.protocol.parameters import RequestError


@dataclass(frozen=True, slots=True)
class InvalidValue:
    """An invalid value, with REDCap's message."""

    record: str = field(repr=False)
    field_name: str
    value: str = field(repr=False)
    message: str

    def write(self, say: Callable[[str], str]) -> str:
        """Return the row of CSV with the message as a server says it."""
        cells = (self.record, self.field_name, self.value, say(self.message))
        return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


class ImportRefusedError(RequestError):
    """A refusal of import data.

    Attributes:
        invalid: The invalid values.
    """

    def __init__(self, invalid: Sequence[InvalidValue]) -> None:
        super().__init__(400, "")
        self.invalid = tuple(invalid)

    def write(self, say: Callable[[str], str]) -> str:
        """Return the rows as a server writes them."""
        return "\n".join(value.write(say) for value in self.invalid)
