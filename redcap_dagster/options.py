"""Options: frozen values and functions that refuse a misspelled name."""

import difflib
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, ParamSpec, TypeVar, dataclass_transform

from pydantic import BaseModel

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def option(cls: type[T]) -> type[T]:
    """Return a frozen dataclass whose error for a misspelled field suggests the right name.

    Its docstring describes each field once, in the section ``Attributes:`` that `attribute_texts`
    reads.

    Example:
        >>> @option
        ... class Limits:
        ...     max_cells: int = 10
        >>> Limits(max_cell=5)
        Traceback (most recent call last):
        TypeError: Limits has no option 'max_cell'. Did you mean 'max_cells'?
    """
    frozen: type[Any] = dataclass(frozen=True)(cls)
    initialize = frozen.__init__
    names = [each.name for each in fields(frozen)]

    @wraps(initialize)
    def checked(self: Any, *values: Any, **named: Any) -> None:
        if unknown := misspelt(named, names, cls.__name__):
            raise TypeError(unknown)
        initialize(self, *values, **named)

    frozen.__init__ = checked
    return frozen


def refuse_misspelt(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function whose error for a misspelled keyword suggests the right name."""
    names = list(inspect.signature(function).parameters)

    @wraps(function)
    def checked(*values: P.args, **named: P.kwargs) -> R:
        if unknown := misspelt(named, names, function.__name__):
            raise TypeError(unknown)
        return function(*values, **named)

    return checked


def misspelt(given: Iterable[str], known: Collection[str], owner: str) -> str | None:
    """Return a sentence about the first unknown name, with the likely right one; or None.

    Args:
        given: The names that were given.
        known: The names that exist.
        owner: What the names belong to, for the sentence.

    Example:
        >>> misspelt(["polo"], ["pool", "tags"], "op")
        "op has no option 'polo'. Did you mean 'pool'?"
        >>> misspelt(["x"], ["pool", "tags"], "op")
        "op has no option 'x'. Its options are pool, tags."
    """
    for name in given:
        if name not in known:
            meant = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"Did you mean {meant[0]!r}?" if meant else f"Its options are {', '.join(known)}."
            )
            return f"{owner} has no option {name!r}. {hint}"
    return None


def with_attribute_texts(model: type[M]) -> type[M]:
    """Return a pydantic model whose fields have their texts from the docstring as descriptions."""
    for name, text in attribute_texts(model).items():
        model.model_fields[name].description = text
    model.model_rebuild(force=True)
    return model


def attribute_texts(cls: type) -> Mapping[str, str]:
    """Return the text of each attribute in the docstring of a class.

    Example:
        >>> class Limits:
        ...     '''Limits of a request.
        ...
        ...     Attributes:
        ...         max_cells: Rows times columns.
        ...             Defaults to 10.
        ...     '''
        >>> attribute_texts(Limits)
        {'max_cells': 'Rows times columns. Defaults to 10.'}
    """
    section = re.search(
        r"^Attributes:\n((?:    .*\n?|\n)+)", inspect.getdoc(cls) or "", re.MULTILINE
    )
    if section is None:
        return {}
    entries = re.findall(r"^    (\w+): (.*(?:\n(?:        .*)?)*)", section[1], re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def written_as(pattern: re.Pattern[str]) -> dict[str, Any]:
    """Return the JSON schema of a text with a pattern, or with a template.

    Example:
        >>> bool(re.search(written_as(re.compile("[a-z]+"))["pattern"], "{{ env.NAME }}"))
        True
    """
    return {"pattern": rf"^({pattern.pattern})$|\{{\{{"}
