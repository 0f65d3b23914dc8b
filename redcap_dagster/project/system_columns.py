"""The names of the columns that REDCap adds to the rows of a record export by itself.

A name alone never decides what a column is: a field of the dictionary may be called like one.
"""

from typing import Final

EVENT_NAME: Final = "redcap_event_name"
ARM: Final = "redcap_arm"
"""Ours: the number of the event's arm. REDCap has it inside the event's unique name."""

REPEAT_INSTRUMENT: Final = "redcap_repeat_instrument"
REPEAT_INSTANCE: Final = "redcap_repeat_instance"
REPEAT_COLUMNS: Final = (REPEAT_INSTRUMENT, REPEAT_INSTANCE)
ACCESS_GROUP: Final = "redcap_data_access_group"
SURVEY_IDENTIFIER: Final = "redcap_survey_identifier"


def status_column(form: str) -> str:
    """Return the name of a form's status: Incomplete, Unverified or Complete.

    Example:
        >>> status_column("visit")
        'visit_complete'
    """
    return f"{form}_complete"


def timestamp_column(form: str) -> str:
    """Return the name of a survey's timestamp: when its response was completed.

    Example:
        >>> timestamp_column("visit")
        'visit_timestamp'
    """
    return f"{form}_timestamp"
