"""The key of a stored row: its record, event, repeating instrument and instance."""

from dataclasses import dataclass, field

from redcap_dagster.project import REDCapProject


@dataclass(frozen=True, slots=True)
class RowKey:
    """The key of a row.

    Attributes:
        record: Record id.
        event: Unique event name. Defaults to a blank, for a classic project.
        instrument: Repeating instrument. Defaults to a blank, where no instrument repeats.
        instance: Instance of the instrument or event. Defaults to 0, where nothing repeats.
    """

    record: str = field(repr=False)
    event: str = ""
    instrument: str = ""
    instance: int = 0


def list_row_forms(structure: REDCapProject, event: str, instrument: str) -> tuple[str, ...]:
    """Return the instruments whose fields a row can hold.

    Args:
        structure: Structure of the project.
        event: Unique event name; blank in a classic project.
        instrument: Repeating instrument of the row; blank for all that do not repeat there.

    Example:
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "id", "form_name": "a"},
        ...               {"field_name": "x", "form_name": "b"}],
        ...     repeating=[{"form_name": "b"}])
        >>> [list_row_forms(project, "", repeating) for repeating in ("", "b", "a")]
        [('a',), ('b',), ()]
    """
    repeating = {row.form_name for row in structure.repeating if row.event_name == event}
    if structure.is_longitudinal:
        designated = {row.form for row in structure.form_events if row.unique_event_name == event}
    else:
        designated = {row.instrument_name for row in structure.instruments}
    forms = designated & repeating & {instrument} if instrument else designated - repeating
    return tuple(
        row.instrument_name for row in structure.instruments if row.instrument_name in forms
    )


def check_row_key(structure: REDCapProject, row_key: RowKey) -> None:
    """Refuse a row key that the project cannot have; no export would show its row.

    Raises:
        ValueError: A part of the key is invalid; the message names its column.
    """
    events = {row.unique_event_name for row in structure.events} or {""}
    if row_key.event not in events:
        raise ValueError("redcap_event_name: missing, or not an event of the project.")
    if row_key.instrument and not list_row_forms(structure, row_key.event, row_key.instrument):
        raise ValueError("redcap_repeat_instrument: not an instrument that repeats in this event.")
    repeats = bool(row_key.instrument) or row_key.event in structure.repeating_events
    if repeats != (row_key.instance > 0):
        raise ValueError(
            "redcap_repeat_instance: given although nothing repeats there, or missing."
        )
