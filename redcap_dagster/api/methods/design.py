"""Changes of a project's design: dictionary, arms, events and instruments.

The exports of the design are methods of the client itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from redcap_dagster.api.calls.import_data import Importable
from redcap_dagster.api.calls.parameters import call_parameters, write_flag
from redcap_dagster.api.calls.rows import delete_listed, import_rows
from redcap_dagster.api.http.transport import Transport


@dataclass(frozen=True, slots=True)
class Design:
    """Changes of a project's design. Needs the rights to API Import/Update and Project Design.

    Data are a DataFrame, a list of dicts, or the text of a CSV. Each method returns how many rows
    REDCap imported or deleted, and sends its request once. Each raises:

    * ``TypeError`` or ``ValueError`` for data that cannot be imported. Nothing was sent.
    * ``OutcomeUnknownError`` where the response was lost.
    * another ``REDCapError`` where REDCap did not make the change. The type says why.

    Example:
        >>> redcap.design.import_arms([{"arm_num": 2, "name": "Control"}])
        1
    """

    _transport: Transport

    def import_metadata(self, data: Importable) -> int:
        """Replace the dictionary of a project in development status (REDCap 6.11).

        Fields that the new dictionary lacks are deleted with their data.

        Args:
            data: All rows of the new dictionary, as `REDCapClient.export_metadata` returns them.

        Example:
            >>> redcap.design.import_metadata(redcap.export_metadata())
            5
        """
        return import_rows(
            self._transport,
            "metadata import",
            call_parameters("metadata", "import"),
            data,
            ["field_name", "form_name", "field_type"],
        )

    def import_arms(self, data: Importable, *, override: bool = False) -> int:
        """Add or rename arms (REDCap 4.7).

        Args:
            data: Rows with ``arm_num`` and ``name``.
            override: Whether to delete all other arms, in development status only. Defaults to
                False.

        Example:
            >>> redcap.design.import_arms([{"arm_num": 2, "name": "Two"}])
            1
        """
        return import_rows(
            self._transport,
            "arm import",
            call_parameters("arm", "import", override=_write_zero_or_one(override)),
            data,
            ["arm_num", "name"],
        )

    def delete_arms(self, arms: Sequence[str | int]) -> int:
        """Delete arms with their events, in development status only.

        Args:
            arms: The numbers of the arms.

        Example:
            >>> done = redcap.design.import_arms([{"arm_num": 2, "name": "Two"}])
            >>> redcap.design.delete_arms([2])
            1
        """
        return delete_listed(self._transport, "arm", "arms", arms)

    def import_events(self, data: Importable, *, override: bool = False) -> int:
        """Add or change events.

        Args:
            data: Rows with ``event_name`` and ``arm_num``, and with ``unique_event_name`` for
                events that exist.
            override: Whether to delete all other events, in development status only. Defaults to
                False.

        Example:
            >>> redcap.design.import_events([{"event_name": "Last", "arm_num": 1}])
            1
        """
        return import_rows(
            self._transport,
            "event import",
            call_parameters("event", "import", override=_write_zero_or_one(override)),
            data,
            ["event_name", "arm_num"],
        )

    def delete_events(self, events: Sequence[str]) -> int:
        """Delete events, in development status only.

        Args:
            events: The unique names of the events.

        Example:
            >>> redcap.design.delete_events(["then_arm_1"])
            1
        """
        return delete_listed(self._transport, "event", "events", events)

    def import_form_event_mapping(self, data: Importable) -> int:
        """Replace the designation of instruments to events (REDCap 4.7).

        Args:
            data: Rows with ``arm_num``, ``unique_event_name`` and ``form``. Instruments are no
                longer designated for any other event.

        Example:
            >>> redcap.design.import_form_event_mapping(redcap.export_form_event_mapping())
            2
        """
        return import_rows(
            self._transport,
            "formEventMapping import",
            call_parameters("formEventMapping", "import"),
            data,
            ["arm_num", "unique_event_name", "form"],
        )

    def import_repeating_forms_events(self, data: Importable) -> int:
        """Replace the list of repeating instruments and events (REDCap 8.10).

        Args:
            data: Rows with ``form_name``, and with ``event_name`` in a longitudinal project. A
                blank ``form_name`` makes the entire event repeat. Others no longer repeat.

        Example:
            >>> again = [{"event_name": "then_arm_1", "form_name": "drug"}]
            >>> redcap.design.import_repeating_forms_events(again)
            1
        """
        return import_rows(
            self._transport,
            "repeatingFormsEvents import",
            call_parameters("repeatingFormsEvents", "import"),
            data,
            ["form_name"],
        )


def _write_zero_or_one(override: bool) -> int:
    return 1 if write_flag("override", override) else 0
