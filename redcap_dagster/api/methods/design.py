"""The design of a project: its dictionary, arms, events and forms, as they may be changed.

What there is, is exported by the client itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from redcap_dagster.api.calls.import_data import Importable
from redcap_dagster.api.calls.parameters import call_parameters, write_flag
from redcap_dagster.api.calls.rows import delete_listed, import_rows
from redcap_dagster.api.http.transport import Transport


@dataclass(frozen=True, slots=True)
class Design:
    """Changes of a project's design; needs the rights to API Import/Update and Project Design.

    Each is sent once, takes a DataFrame, a list of dicts or the text of a CSV, and gives how many
    rows REDCap took. Each raises:

    * ``TypeError`` or ``ValueError`` for data that cannot be imported; nothing was sent;
    * ``OutcomeUnknownError`` where the answer was lost;
    * another ``REDCapError`` where it was not done, whose type says why.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> with Sandbox() as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields})
        ...     client = REDCapClient(redcap.url, token)
        ...     age = fields[0] | {"field_name": "age", "field_type": "text"}
        ...     client.design.import_metadata([*client.export_metadata(), age])
        2
    """

    _transport: Transport

    def import_metadata(self, data: Importable) -> int:
        """Put another dictionary in the place of this one (REDCap 6.11); in development only.

        What the new one lacks is lost, with its data.

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
        """Add or rename arms; with ``override`` all others go (in development only).

        Since REDCap 4.7.

        Example:
            >>> redcap.design.import_arms([{"arm_num": 2, "name": "Two"}])
            1
        """
        return import_rows(
            self._transport,
            "arm import",
            call_parameters("arm", "import", override=_zero_or_one(override)),
            data,
            ["arm_num", "name"],
        )

    def delete_arms(self, arms: Sequence[str | int]) -> int:
        """Delete arms by number, with their events; in development only.

        Example:
            >>> done = redcap.design.import_arms([{"arm_num": 2, "name": "Two"}])
            >>> redcap.design.delete_arms([2])
            1
        """
        return delete_listed(self._transport, "arm", "arms", arms)

    def import_events(self, data: Importable, *, override: bool = False) -> int:
        """Add or change events; with ``override`` all others go (in development only).

        Events that are there are told by ``unique_event_name``.

        Example:
            >>> redcap.design.import_events([{"event_name": "Last", "arm_num": 1}])
            1
        """
        return import_rows(
            self._transport,
            "event import",
            call_parameters("event", "import", override=_zero_or_one(override)),
            data,
            ["event_name", "arm_num"],
        )

    def delete_events(self, events: Sequence[str]) -> int:
        """Delete events by their unique names; in development only.

        Example:
            >>> redcap.design.delete_events(["then_arm_1"])
            1
        """
        return delete_listed(self._transport, "event", "events", events)

    def import_form_event_mapping(self, data: Importable) -> int:
        """Say which form is designated in which event; any other is no longer.

        Since REDCap 4.7.

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
        """Say which forms and events repeat (REDCap 8.10); any other no longer does.

        A blank ``form_name`` stands for the whole event, which then repeats.

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


def _zero_or_one(override: bool) -> int:
    return 1 if write_flag("override", override) else 0
