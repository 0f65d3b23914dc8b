"""The events and repeating instruments of a data dictionary, which lists neither, by its logic."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from redcap_dagster.project import Arm, Event, Field, FormEvent, REDCapProject, Repeating

_REFERENCE: Final = re.compile(r"(?:\[[^\[\]]+\])+")
_PART: Final = re.compile(r"\[([^\[\]]+)\]")
_INSTANCE: Final = re.compile(r"[0-9]{1,5}|(?:first|last|current|previous|next)-instance")
_EVENT: Final = re.compile(r"[a-z0-9_]+_arm_([0-9]+)[a-z]?")
_COMPARED: Final = re.compile(r"\[event-name\]\s*(?:=|<>|!=)\s*(['\"])([a-z0-9_]+)\1")


@dataclass(frozen=True, slots=True)
class _Mention:
    """A reference of logic: the form of its field, its event, and the form that the logic is in."""

    form: str
    event: str
    has_instance: bool
    from_form: str


def with_implied_events(dictionary: REDCapProject, events: Sequence[str] = ()) -> REDCapProject:
    """Return a project with the events that its logic names, and what repeats in them.

    Every instrument is designated for every event. An instrument repeats if logic refers to another
    instance of it, except in events in which logic refers to it without an instance. If such
    instruments refer to each other, the event repeats as a whole.

    Args:
        dictionary: Project with fields and instruments only.
        events: Unique names of further events, in front of those of the logic; ``_arm_1`` is added
            to names without an arm. ``:repeating`` after a name makes the event repeat. Defaults
            to none.

    Example:
        >>> project = REDCapProject.from_exports(metadata=[
        ...     {"field_name": "id", "form_name": "visit"},
        ...     {"field_name": "pain", "form_name": "visit",
        ...      "branching_logic": "[first_arm_1][pain]='1' and [pain][previous-instance]<>''"}])
        >>> made = with_implied_events(project)
        >>> [event.unique_event_name for event in made.events], made.repeating
        (['first_arm_1'], (Repeating(form_name='visit', event_name='first_arm_1', \
custom_form_label=''),))
    """
    given = {_name_event(name.removesuffix(":repeating")): None for name in events}
    repeating = [
        _name_event(name.removesuffix(":repeating"))
        for name in events
        if name.endswith(":repeating")
    ]
    texts = [(field.form_name, text) for field in dictionary.fields for text in _list_logic(field)]
    forms = {field.field_name: field.form_name for field in dictionary.fields}
    named = dict.fromkeys(event for _, text in texts for event in _find_events(text, forms))
    mentions = [each for form, text in texts for each in _find_mentions(form, text, forms)]
    names = list(given | named)
    rows = tuple(_find_repeating(names, repeating, mentions))
    if not names:
        return replace(dictionary, repeating=rows)
    arms = {name: _read_arm(name) for name in names}
    return replace(
        dictionary,
        info=replace(dictionary.info, is_longitudinal=1),
        arms=tuple(Arm(number, f"Arm {number}") for number in sorted(set(arms.values()))),
        events=tuple(
            Event(name.rpartition("_arm_")[0].replace("_", " ").capitalize(), arms[name], name)
            for name in names
        ),
        form_events=tuple(
            FormEvent(arms[name], name, form.instrument_name)
            for name in names
            for form in dictionary.instruments
        ),
        repeating=rows,
    )


def _find_repeating(
    events: Sequence[str], repeating_events: Sequence[str], mentions: Sequence[_Mention]
) -> Iterator[Repeating]:
    """Yield what repeats: whole events, then instruments in events (or in a classic project)."""
    instances = [mention for mention in mentions if mention.has_instance]
    forms = dict.fromkeys(mention.form for mention in instances)
    # Instruments that refer to each other's instances are instances of an event together.
    together = bool(events) and any(
        mention.from_form != mention.form and mention.from_form in forms
        for mention in mentions
        if mention.form in forms and (mention.has_instance or not mention.event)
    )
    once = {(each.form, each.event) for each in mentions if each.event and not each.has_instance}
    found: dict[tuple[str, str], None] = {}
    for mention in instances:
        own = [mention.event] if mention.event else events or [""]
        often = [event for event in own if (mention.form, event) not in once] or own
        found |= dict.fromkeys(("" if together else mention.form, event) for event in often)
    whole = dict.fromkeys([*repeating_events, *(event for form, event in found if not form)])
    yield from (Repeating(event_name=event) for event in whole)
    yield from (Repeating(form, event) for form, event in found if form and event not in whole)


def _list_logic(field: Field) -> list[str]:
    """Return the texts of a field that can hold references."""
    calculation = field.select_choices_or_calculations if field.field_type == "calc" else ""
    bounds = (field.text_validation_min, field.text_validation_max)
    texts = (field.branching_logic, calculation, field.field_annotation, *bounds)
    return [text for text in texts if "[" in text]


def _find_events(text: str, forms: Mapping[str, str]) -> Iterator[str]:
    """Yield the events that a text names, in references and in comparisons of the event's name."""
    for reference in _REFERENCE.findall(text):
        first, *others = _PART.findall(reference)
        if others and _EVENT.fullmatch(first) and first not in forms:
            yield first
    for _, name in _COMPARED.findall(text):
        yield _name_event(name)


def _find_mentions(form: str, text: str, forms: Mapping[str, str]) -> Iterator[_Mention]:
    """Yield the references of a text."""
    for reference in _REFERENCE.findall(text):
        *parts, last = _PART.findall(reference)
        has_instance = bool(parts) and _INSTANCE.fullmatch(last) is not None
        if has_instance:
            last = parts.pop()
        name = re.split(r"[(:]", last)[0].strip()
        event = parts[-1] if parts and _EVENT.fullmatch(parts[-1]) else ""
        if name in forms:
            yield _Mention(forms[name], event, has_instance, form)


def _name_event(name: str) -> str:
    return name if _EVENT.fullmatch(name) else f"{name}_arm_1"


def _read_arm(name: str) -> int:
    found = _EVENT.fullmatch(name)
    return int(found[1]) if found else 1
