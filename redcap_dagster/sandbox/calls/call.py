"""A call of the API and the response to it, which every handler takes and returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from redcap_dagster.sandbox.protocol.formats import CONTENT_TYPES, Table, write_table
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
    """A request of a user to a project; the store's lock is held until it is handled.

    Attributes:
        store: Store that has the project.
        project: Project with the name and the rights of the token's user.
        parameters: Parameters of the request.
        files: Files of a multipart request by the name of their parameter. Defaults to none.
    """

    store: Store = field(repr=False)
    project: StoredProject
    parameters: Parameters
    files: Mapping[str, Upload] = field(default_factory=dict, repr=False)

    @property
    def format(self) -> str:
        """Format of the response: ``csv``, ``json`` or ``xml``, which is the default.

        Raises:
            RequestError: REDCap does not have the format that was requested.
        """
        return self.parameters.get_choice("format", FORMATS, "xml")

    @property
    def return_format(self) -> str:
        """Format of counts and other short responses. Defaults to `format`.

        Raises:
            RequestError: REDCap does not have the format that was requested.
        """
        return self.parameters.get_choice("returnFormat", FORMATS, self.format)


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a call that was handled."""

    body: bytes = field(repr=False)
    content_type: str


Handler = Callable[[Call], Response]
"""Handles one content and action of a project."""

CreationHandler = Callable[[Store, Parameters], Response]
"""Handles a request with the super token, which belongs to no project."""


def respond_with_text(text: str, format_: str) -> Response:
    """Return a response of a text, with the content type of a format."""
    # A lone surrogate can come in with JSON, and UTF-8 has none.
    return Response(text.encode(errors="replace"), CONTENT_TYPES[format_])


def respond_with_table(call: Call, table: Table) -> Response:
    """Return a response of a table, in the format that was requested."""
    body = write_table(table, call.format, call.store.dialect)
    return Response(body, CONTENT_TYPES[call.format])


def respond_with_count(call: Call, count: int) -> Response:
    """Return how many rows were imported or deleted: the bare number, in every format."""
    return respond_with_text(str(count), call.return_format)


def respond_with_nothing(call: Call) -> Response:
    """Return a response without a body, as REDCap responds to changes of files."""
    return respond_with_text("", call.return_format)
