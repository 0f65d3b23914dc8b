"""A call of the API and the reply to it: what every room that answers one takes and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from redcap_dagster.sandbox.protocol.formats import CONTENT_TYPES, Table, write
from redcap_dagster.sandbox.protocol.parameters import FORMATS, Parameters
from redcap_dagster.sandbox.store.store import Store, StoredProject


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request."""

    name: str
    mime_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a project, from a user of it. The store's lock is held until it is answered.

    Attributes:
        project: The project as the user of the token has it: with the username and the rights.
        files: The files of a multipart request by the name of their parameter.
    """

    store: Store = field(repr=False)
    project: StoredProject
    parameters: Parameters
    files: Mapping[str, Upload] = field(default_factory=dict, repr=False)

    @property
    def format(self) -> str:
        """The format asked for.

        Raises:
            RequestError: There is no such format.
        """
        return self.parameters.choice("format", FORMATS, "xml")


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a call that was done."""

    body: bytes = field(repr=False)
    content_type: str


Answerer = Callable[[Call], Reply]
Creator = Callable[[Store, Parameters], Reply]
"""What answers a super token, which opens no project."""


def text_reply(text: str, format_: str) -> Reply:
    """Reply with a text, whose type is that of a format."""
    # A lone surrogate can come in with JSON, and UTF-8 has none.
    return Reply(text.encode(errors="replace"), CONTENT_TYPES[format_])


def table_reply(call: Call, table: Table) -> Reply:
    """Reply with a table in the format that was asked for."""
    return text_reply(write(table, call.format), call.format)


def count_reply(call: Call, count: int) -> Reply:
    """Reply with how many were imported or deleted: the bare number, in every format."""
    format_ = call.parameters.choice("returnFormat", FORMATS, call.format)
    return text_reply(str(count), format_)
