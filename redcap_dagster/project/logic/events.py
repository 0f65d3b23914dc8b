"""The event that a reference of logic names, as ``[previous-event-name][field]``."""

from redcap_dagster.project.model import REDCapProject


def find_event(
    project: REDCapProject, name: str, row_event: str, instrument: str | None
) -> str | None:
    """Return the unique name of the event that a reference names, or None without such an event.

    ``previous-event-name`` and the like mean events of the row's arm: before a field, those for
    which its instrument is designated.

    Args:
        project: Project of the reference.
        name: Event of the reference; a blank means the event of the row.
        row_event: Event of the row; a blank in a classic project.
        instrument: Instrument of the field that the reference names; None for a smart variable
            without a field, such as ``[previous-event-name]``, which means the very next event.

    Example:
        >>> project = REDCapProject.from_exports(
        ...     metadata=[{"field_name": "id", "form_name": "visit"}],
        ...     events=[
        ...         {"event_name": x, "unique_event_name": x, "arm_num": 1} for x in "abc"],
        ...     form_event_mapping=[
        ...         {"arm_num": 1, "unique_event_name": x, "form": "visit"} for x in "ac"])
        >>> find_event(project, "previous-event-name", "c", "visit")
        'a'
    """
    if name in ("", "event-name"):
        return row_event
    arms = {event.unique_event_name: event.arm_num for event in project.events}
    if not name.endswith("-event-name"):
        return name if name in arms else None
    if row_event not in arms:
        return None
    designated = arms if instrument is None else project.designated_events(instrument)
    events = [event for event, arm in arms.items() if arm == arms[row_event]]
    at = events.index(row_event)
    match name:
        case "first-event-name":
            candidates = events
        case "last-event-name":
            candidates = events[::-1]
        case "previous-event-name":
            candidates = events[:at][::-1]
        case "next-event-name":
            candidates = events[at + 1 :]
        case _:
            candidates = []
    return next((event for event in candidates if event in designated), None)
