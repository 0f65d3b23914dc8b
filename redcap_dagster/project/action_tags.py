"""The action tags of a field's annotation, with the conditions of ``@IF`` that they stand under."""

import re
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from redcap_dagster.project.rows import Field
from redcap_dagster.project.validations import get_validation

_TAG: Final = re.compile(r"(?<![\w.%+-])@([A-Z][A-Z0-9]*(?:[-_][A-Z0-9]+)*)(?![\w-])")
_VALUE: Final = re.compile(r"""\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'(),]+))""")
_COMMENT: Final = re.compile(
    r"(?<!:)//[^\r\n]*|^[ \t]*#[^\r\n]*|/\*(?s:.*?)(?:\*/|\Z)", re.MULTILINE
)
_CLOSING: Final = {"(": ")", "[": "]"}
_MOST_CONDITIONS: Final = 50
"""How deeply ``@IF`` is read that stands in others."""


@dataclass(frozen=True, slots=True)
class ActionTag:
    """An action tag of a field.

    Attributes:
        name: Name without ``@``, such as ``HIDDEN``.
        argument: What stands after ``=`` without its quotes, or in parentheses. Defaults to a
            blank.
        conditions: Logic of each ``@IF`` around the tag, and whether it must be true or false for
            the tag to apply. An ``@IF`` that cannot be read has a blank as its logic, and so has a
            comment, of which it is not known whether REDCap applies its tags. Defaults to none.
    """

    name: str
    argument: str = ""
    conditions: tuple[tuple[str, bool], ...] = ()


def read_calculation(field: Field) -> str:
    """Return the calculation of a field as logic: of ``calc``, ``@CALCTEXT`` or ``@CALCDATE``.

    It is blank without a calculation, and where it depends on an ``@IF``. The last argument of
    ``calcdate`` is the clock of the field's validation, if that is one of dates.

    Args:
        field: The field.

    Example:
        >>> read_calculation(Field("due", "visit", field_annotation="@CALCTEXT([a] + 1)"))
        '[a] + 1'
    """
    if field.field_type == "calc":
        return field.select_choices_or_calculations
    every = list_action_tags(field.field_annotation)
    tags = [tag for tag in every if tag.name in ("CALCTEXT", "CALCDATE")]
    if len(tags) != 1 or tags[0].conditions or not tags[0].argument.strip():
        return ""
    if tags[0].name == "CALCTEXT":
        return tags[0].argument
    validation = get_validation(field)
    is_dated = validation.kind in ("date", "datetime")
    clock = f"\n, '{validation.clock}'" if is_dated else ""  # the argument may end with a comment
    return f"calcdate({tags[0].argument}{clock})"


def list_action_tags(annotation: str) -> tuple[ActionTag, ...]:
    """Return the action tags of an annotation, in their order.

    Example:
        >>> list_action_tags("@READONLY @IF([sex] = '1', '@HIDDEN', '')")
        (ActionTag(name='READONLY', argument='', conditions=()), \
ActionTag(name='HIDDEN', argument='', conditions=(("[sex] = '1'", True),)))
    """
    return tuple(_list_tags(annotation, ()))


def _list_tags(text: str, conditions: tuple[tuple[str, bool], ...]) -> Iterator[ActionTag]:
    if len(conditions) >= _MOST_CONDITIONS:
        names = [found[1] for found in _TAG.finditer(text) if found[1] != "IF"]
        yield from (ActionTag(name, "", (*conditions, ("", True))) for name in names)
        return
    comments = [comment.span() for comment in _COMMENT.finditer(text)]
    at = 0
    while found := _TAG.search(text, at):
        name, at = found[1], found.end()
        before = bisect(comments, (found.start(), len(text))) - 1
        is_comment = before >= 0 and found.end() <= comments[before][1]
        under = (*conditions, ("", True)) if is_comment else conditions
        opening = re.compile(r"\s*\(").match(text, at)
        value = _VALUE.match(text, at)
        argument = ""
        if opening and (name == "IF" or opening.end() == at + 1):
            argument, end = _read_parentheses(text, opening.end())
            if name == "IF":
                yield from _list_conditional_tags(argument, under, is_closed=end > 0)
            at = end if end > 0 else len(text)
        elif value:
            argument, at = value[value.lastindex or 0], value.end()
        if name != "IF":
            yield ActionTag(name, argument, under)


def _list_conditional_tags(
    arguments: str, conditions: tuple[tuple[str, bool], ...], *, is_closed: bool
) -> Iterator[ActionTag]:
    parts = _split_arguments(arguments)
    if len(parts) != 3 or not is_closed:
        yield from _list_tags(arguments, (*conditions, ("", True)))
        return
    logic, *branches = parts
    for holds, branch in zip((True, False), branches, strict=True):
        yield from _list_tags(_unquote(branch), (*conditions, (logic.strip(), holds)))


def _read_parentheses(text: str, start: int) -> tuple[str, int]:
    """Return what stands before the closing parenthesis, and its end; -1 without a parenthesis."""
    open_signs = ["("]
    for at, character in _walk_unquoted(text, start):
        if character in _CLOSING:
            open_signs.append(character)
        elif character == _CLOSING[open_signs[-1]]:
            open_signs.pop()
            if not open_signs:
                return text[start:at], at + 1
    return text[start:], -1


def _split_arguments(text: str) -> list[str]:
    """Return the arguments between the commas that stand in no parentheses or quotes."""
    parts, begin, depth = [], 0, 0
    for at, character in _walk_unquoted(text, 0):
        depth += (character in "([") - (character in ")]")
        if character == "," and not depth:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]


def _walk_unquoted(text: str, start: int) -> Iterator[tuple[int, str]]:
    r"""Yield the characters outside of quotes, each with its position; ``\'`` ends no quotes."""
    quote = ""
    for at in range(start, len(text)):
        character = text[at]
        if quote:
            quote = "" if character == quote and text[at - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        else:
            yield at, character


def _unquote(text: str) -> str:
    text = text.strip()
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted and text[0] not in text[1:-1] else text
