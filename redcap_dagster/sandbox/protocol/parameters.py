"""The parameters of a request as PHP reads them, and REDCap's refusals of invalid ones."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

_ELEMENT = re.compile(r"([^\[\]]+)\[[^\[\]]*\]")

FORMATS = ("csv", "json", "xml")


class RequestError(Exception):
    """A refusal of a request, with its HTTP status and REDCap's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def write(self, say: Callable[[str], str]) -> str:
        """Return the message.

        Args:
            say: Function that returns a sentence as a server says it.
        """
        return say(self.message)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request; an empty parameter counts as absent.

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
        """Return the parameters of a form's pairs; the last of two texts with one name counts."""
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
        """Names of the parameters, sorted."""
        return tuple(sorted({*self._texts, *self._arrays}))

    def get_text(self, name: str, default: str = "") -> str:
        """Return a text parameter. Defaults to a blank."""
        return self._texts.get(name, default)

    def get_flag(self, name: str) -> bool:
        """Return a parameter that is ``true`` or ``false``. Defaults to false."""
        return self.get_text(name).lower() == "true"

    def get_list(self, name: str) -> tuple[str, ...]:
        """Return a list parameter: ``x[0]=``, ``x[]=``, or a text with commas."""
        if name in self._arrays:
            return self._arrays[name]
        return tuple(part for each in self.get_text(name).split(",") if (part := each.strip()))

    def get_choice(self, name: str, values: tuple[str, ...], default: str) -> str:
        """Return a parameter that is one of a few words.

        Raises:
            RequestError: It is another word. The text of the refusal is a guess.
        """
        value = self.get_text(name, default)
        if value not in values:
            raise RequestError(400, f'The value of the parameter "{name}" is not valid')
        return value

    def get_known_names(self, name: str, values: Iterable[str]) -> frozenset[str]:
        """Return a list parameter of names that have to exist.

        Raises:
            RequestError: A name does not exist. The text is recorded for ``fields``; for other
                parameters and for several names it is a guess.
        """
        given = self.get_list(name)
        unknown = sorted(set(given) - set(values), key=given.index)
        if unknown:
            listed = ", ".join(f"'{value}'" for value in unknown)
            raise RequestError(
                400, f'The following values in the parameter "{name}" are not valid: {listed}'
            )
        return frozenset(given)
