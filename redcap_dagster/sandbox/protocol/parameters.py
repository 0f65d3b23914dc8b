"""What a request asks for: form parameters as PHP reads them, and how REDCap refuses them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

_ELEMENT = re.compile(r"([^\[\]]+)\[[^\[\]]*\]")

FORMATS = ("csv", "json", "xml")


class RequestError(Exception):
    """An answer that is an error: its status and REDCap's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request; an empty one counts as absent.

    Example:
        >>> pairs = [("content", "record"), ("fields[0]", "age"), ("forms", "a,b")]
        >>> parameters = Parameters.from_pairs(pairs)
        >>> parameters.get_text("content"), parameters.get_list("fields"), parameters.names
        ('record', ('age',), ('content', 'fields', 'forms'))
        >>> parameters.get_list("forms")
        ('a', 'b')
    """

    _texts: Mapping[str, str] = field(repr=False)
    _arrays: Mapping[str, tuple[str, ...]] = field(repr=False)

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """Read the pairs of a form; of a text that comes twice, the last stands."""
        texts: dict[str, str] = {}
        arrays: dict[str, list[str]] = {}
        for name, value in pairs:
            if value == "":
                continue
            if element := _ELEMENT.fullmatch(name):
                arrays.setdefault(element[1], []).append(value)
            else:
                texts[name] = value
        return cls(texts, {name: tuple(values) for name, values in arrays.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what was sent, without a value."""
        return tuple(sorted({*self._texts, *self._arrays}))

    def get_text(self, name: str, default: str = "") -> str:
        """A parameter that is a text."""
        return self._texts.get(name, default)

    def get_flag(self, name: str) -> bool:
        """A parameter that is ``true`` or ``false``, false by default."""
        return self.get_text(name).lower() == "true"

    def get_list(self, name: str) -> tuple[str, ...]:
        """A parameter that is a list: ``x[0]=``, ``x[]=``, or a text with commas."""
        if name in self._arrays:
            return self._arrays[name]
        return tuple(part for each in self.get_text(name).split(",") if (part := each.strip()))

    def get_choice(self, name: str, values: tuple[str, ...], default: str) -> str:
        """A parameter that is one of a few words.

        Raises:
            RequestError: It is another one. That REDCap answers with this text is a guess.
        """
        value = self.get_text(name, default)
        if value not in values:
            raise RequestError(400, f'The value of the parameter "{name}" is not valid')
        return value

    def get_known_names(self, name: str, values: Iterable[str]) -> frozenset[str]:
        """A parameter that is a list of names that have to exist.

        Raises:
            RequestError: One does not. Recorded for ``fields``; a guess for the others, and for how
                several are listed.
        """
        asked = self.get_list(name)
        wrong = sorted(set(asked) - set(values), key=asked.index)
        if wrong:
            listed = ", ".join(f"'{value}'" for value in wrong)
            raise RequestError(
                400, f'The following values in the parameter "{name}" are not valid: {listed}'
            )
        return frozenset(asked)
