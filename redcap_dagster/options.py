"""Options: frozen values and functions that refuse a misspelled name and a wrong value."""

import difflib
import inspect
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, reduce, wraps
from operator import or_
from types import UnionType
from typing import (
    Any,
    ParamSpec,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, ConfigDict, InstanceOf, TypeAdapter, ValidationError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

_TOKEN_LENGTH = 32
"""Number of characters of the shortest token."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def option(cls: type[T]) -> type[T]:
    """Return a frozen dataclass that refuses a misspelled field, and a value of another type.

    The error for a misspelled field suggests the right name. No error shows a value, which may be
    a token in the wrong place. The docstring of the class describes each field once, in the section
    ``Attributes:`` that `attribute_texts` reads.

    Example:
        >>> @option
        ... class Limits:
        ...     max_cells: int = 10
        >>> Limits(max_cell=5)
        Traceback (most recent call last):
        TypeError: Limits has no option 'max_cell'. Did you mean 'max_cells'?
        >>> Limits("many")
        Traceback (most recent call last):
        ValueError: Limits: max_cells should be a valid integer.
    """
    frozen: type[Any] = dataclass(frozen=True)(cls)
    initialize = frozen.__init__
    names = [each.name for each in fields(frozen)]
    signature = inspect.signature(initialize)

    @wraps(initialize)
    def checked(self: Any, *values: Any, **named: Any) -> None:
        if unknown := misspelt(named, names, cls.__name__):
            raise TypeError(unknown)
        _check_values(cls, signature.bind_partial(self, *values, **named).arguments)
        initialize(self, *values, **named)

    frozen.__init__ = checked
    return frozen


def refuse_mistakes(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that refuses a misspelled keyword, and a value of another type.

    As for an `option`, the error for a misspelled keyword suggests the right name, and no error
    shows a value.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def checked(*values: P.args, **named: P.kwargs) -> R:
        if unknown := misspelt(named, signature.parameters, function.__name__):
            raise TypeError(unknown)
        _check_values(function, signature.bind_partial(*values, **named).arguments)
        return function(*values, **named)

    return checked


@cache
def _type_adapters(annotated: Hashable) -> Mapping[str, TypeAdapter[Any]]:
    """Return what validates each value by its type alone, without conversions."""
    hints = get_type_hints(annotated, include_extras=True)
    config = ConfigDict(arbitrary_types_allowed=True)
    return {
        name: TypeAdapter(_without_models(hint), config=None if is_dataclass(hint) else config)
        for name, hint in hints.items()
        if name != "return"
    }


def _without_models(hint: Any) -> Any:
    """Return a type with `InstanceOf` for pydantic's models, which would be validated again."""
    if get_origin(hint) in (Union, UnionType):
        return reduce(or_, map(_without_models, get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        model = hint.__pydantic_generic_metadata__["origin"] or hint
        return InstanceOf.__class_getitem__(model)  # type: ignore[type-arg]
    return hint


def _check_values(annotated: Any, given: Mapping[str, Any]) -> None:
    for name, adapter in _type_adapters(annotated).items():
        if name not in given:
            continue
        try:
            adapter.validate_python(given[name], strict=True)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False)
            texts = dict.fromkeys(
                "should be a list, not a single text"
                if each["type"] == "sequence_str"
                else each["msg"].removeprefix("Input ")
                for each in wrong
            )
            # Several are those of the types of a union, which pydantic names as parts of the place.
            parts = wrong[0]["loc"] if len(wrong) == 1 else ()
            place = ".".join([name, *map(shown_name, parts)])
            owner = annotated.__qualname__.removesuffix(".__init__")
            raise ValueError(f"{owner}: {place} {', or '.join(texts)}.") from None


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
            return f"{owner} has no option {shown_name(name)!r}. {hint}"
    return None


def shown_name(name: Any) -> str:
    """Return a name as messages show it: nothing of a text that is long enough for a token.

    Example:
        >>> shown_name("pool"), shown_name("0123456789ABCDEF" * 2)
        ('pool', '(32 characters)')
    """
    text = str(name)
    return text if len(text) < _TOKEN_LENGTH else f"({len(text)} characters)"


def with_attribute_texts(model: type[M]) -> type[M]:
    """Return a pydantic model whose fields have their texts from the docstring as descriptions.

    The description of the model in a JSON schema is then the first paragraph of the docstring.
    """
    summary = (inspect.getdoc(model) or "").partition("\n\n")[0]
    model.model_config["json_schema_extra"] = {"description": summary}
    for name, text in attribute_texts(model).items():
        model.model_fields[name].description = text
    model.model_rebuild(force=True)
    return model


def attribute_texts(cls: type) -> Mapping[str, str]:
    """Return the text of each attribute in the docstring of a class, without marks of code.

    Terminals, editors of YAML and Dagster's UI show these texts as they are written.

    Example:
        >>> class Limits:
        ...     '''Limits of a request.
        ...
        ...     Attributes:
        ...         max_cells: Rows times columns, see `split`.
        ...             Defaults to 10.
        ...     '''
        >>> attribute_texts(Limits)
        {'max_cells': 'Rows times columns, see split. Defaults to 10.'}
    """
    section = re.search(
        r"^Attributes:\n((?:    .*\n?|\n)+)", inspect.getdoc(cls) or "", re.MULTILINE
    )
    if section is None:
        return {}
    entries = re.findall(r"^    (\w+): (.*(?:\n(?:        .*)?)*)", section[1], re.MULTILINE)
    return {name: " ".join(text.replace("`", "").split()) for name, text in entries}


def written_as(pattern: re.Pattern[str]) -> dict[str, Any]:
    """Return the JSON schema of a text with a pattern, or with a template.

    Example:
        >>> bool(re.search(written_as(re.compile("[a-z]+"))["pattern"], "{{ env.NAME }}"))
        True
    """
    return {"pattern": rf"^({pattern.pattern})$|\{{\{{"}
