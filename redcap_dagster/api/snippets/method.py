"""A method of REDCap's API as values: its parameters, and the client's calls of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "choice", "name", "names", "text", "number", "time", "minute", "flag", "data", "file"
]
"""What a parameter takes: one of its choices; one name, or several names, of the project; a text; a
whole number; a time of the server (``2024-01-31 10:20:30``), or one without seconds; true or
nothing; data to import; a file."""

NamesOf = Literal[
    "", "records", "fields", "forms", "events", "arms", "users", "roles", "dags", "reports"
]
"""What the names of a parameter are names of."""

Value = str | bool | Sequence[str]
"""The value of a parameter: a bool for a flag, a sequence for several names, otherwise a text."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method.

    Attributes:
        name: REDCap's own name, such as ``rawOrLabel``.
        label: The parameter in words.
        kind: What it takes.
        names_of: What its names are names of; blank for other kinds.
        choices: The values of a choice. Defaults to none.
        default: The value that REDCap assumes, or that is sent if none is chosen. Defaults to
            blank.
        required: Whether REDCap refuses a request without it. Defaults to False.
        always_sent: Whether the default is sent if no value is chosen, as servers may assume
            another one. Defaults to False.
        in_client: Whether the client's calls have it. Defaults to True.
        other_argument: The argument of the client's calls, where it has another name. Defaults to
            REDCap's name in Python's spelling.
        on: What is sent for a flag that is on. Defaults to ``true``.
    """

    name: str
    label: str
    kind: Kind
    names_of: NamesOf = ""
    choices: tuple[str, ...] = ()
    default: str = ""
    required: bool = False
    always_sent: bool = False
    in_client: bool = True
    other_argument: str = ""
    on: str = "true"

    @property
    def argument(self) -> str:
        """The argument of the client's calls.

        Example:
            >>> Parameter("rawOrLabel", "Codes or labels", "choice").argument
            'raw_or_label'
        """
        return self.other_argument or re.sub("([A-Z])", r"_\1", self.name).lower()


@dataclass(frozen=True, slots=True)
class ClientCall:
    """A call of `REDCapClient` that sends a method's request.

    Attributes:
        name: The call as it is written after the client, such as ``records.delete``.
        parameter: A parameter that decides between the calls of a method. Defaults to none.
        value: The value of that parameter for this call.
        own_arguments: Arguments that the client itself interprets, so that no request has them.
            Defaults to none.
    """

    name: str
    parameter: str = ""
    value: str = ""
    own_arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Method:
    """One method of REDCap's API.

    Attributes:
        title: Its name in the API Playground, such as ``Export Records``.
        content: REDCap's name of what is requested.
        action: REDCap's name of the action, ``export`` where REDCap has none.
        parameters: Its parameters, in the order in which they are sent.
        calls: The calls of the client that send it. The first one is shown in snippets, unless the
            parameter of another one has its value.
        saved_as: The name of the file in which snippets save a response that is not text. Defaults
            to blank, for a text.
        tables: The assets of a project that hold the same, such as ``clean/INSTRUMENT``. Defaults
            to none.
        needs_super_token: Whether it takes a super token instead of a project's. Defaults to False.
    """

    title: str
    content: str
    action: str
    parameters: tuple[Parameter, ...]
    calls: tuple[ClientCall, ...]
    saved_as: str = ""
    tables: tuple[str, ...] = ()
    needs_super_token: bool = False

    def choose_call(self, values: Mapping[str, Value]) -> ClientCall:
        """Return the call of the client for chosen values."""
        for call in self.calls:
            if call.parameter and values.get(call.parameter) == call.value:
                return call
        return self.calls[0]
