"""The names of the columns that REDCap adds to record exports.

A name alone does not decide what a column is: a field of the dictionary may have the same name.
"""

from typing import Final

EVENT_NAME: Final = "redcap_event_name"
ARM: Final = "redcap_arm"
"""Number of the event's arm, which this package adds: REDCap has it in the event's name only."""

REPEAT_INSTRUMENT: Final = "redcap_repeat_instrument"
REPEAT_INSTANCE: Final = "redcap_repeat_instance"
REPEAT_COLUMNS: Final = (REPEAT_INSTRUMENT, REPEAT_INSTANCE)
ACCESS_GROUP: Final = "redcap_data_access_group"
SURVEY_IDENTIFIER: Final = "redcap_survey_identifier"

HASHED_ID: Final = "^[0-9a-f]{32}$"
"""Pattern of the hashes that REDCap sends instead of record ids: a guess from other clients."""


def status_column(instrument: str) -> str:
    """Return the column of an instrument's status: Incomplete, Unverified or Complete.

    Example:
        >>> status_column("visit")
        'visit_complete'
    """
    return f"{instrument}_complete"


def timestamp_column(instrument: str) -> str:
    """Return the column of a survey's timestamp: the time when its response was completed.

    Example:
        >>> timestamp_column("visit")
        'visit_timestamp'
    """
    return f"{instrument}_timestamp"
