"""Surveys: links, codes, and who takes part."""

from dataclasses import dataclass
from typing import Any

from redcap_dagster.api.calls.parameters import call_parameters, check_positive, check_required
from redcap_dagster.api.calls.rows import export_line, export_rows
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames


@dataclass(frozen=True, slots=True)
class Surveys:
    """Links and codes of surveys; needs the right to manage survey participants.

    A link or a code lets anyone answer in a participant's place: treat it like a password.

    Example:
        >>> from redcap_dagster.api import REDCapClient
        >>> from redcap_dagster.sandbox import Sandbox
        >>> fields = [{"field_name": "record_id", "form_name": "visit"}]
        >>> rows = [{"record_id": "1", "visit_timestamp": "2024-01-31 10:20:30"}]
        >>> with Sandbox(version="15.5.0") as redcap:
        ...     token = redcap.add_project(exports={"metadata": fields}, records=rows)
        ...     client = REDCapClient(redcap.url, token)
        ...     len(client.surveys.export_access_code("1", "visit"))
        9
    """

    _transport: Transport
    _names: ProjectNames

    def export_link(
        self,
        record: str | int,
        instrument: str,
        event: str | None = None,
        repeat_instance: int = 1,
    ) -> str:
        """Export the link of a record's survey.

        Since REDCap 6.4.

        Args:
            record: The record id.
            instrument: The form that is a survey.
            event: The event, in a longitudinal project.
            repeat_instance: The instance, where the form or event repeats.

        Raises:
            ValueError: The project has no such form or event; nothing of the record was asked for.
            RefusedError: There is no such record.
            REDCapError: Of the type that says what is wrong; so does every method.

        Example:
            >>> redcap.surveys.export_link("1", "visit", event="first_arm_1").startswith("http")
            True
        """
        wanted = self._asked("surveyLink", record, instrument, event, repeat_instance)
        return export_line(self._transport, "survey link export", wanted)

    def export_queue_link(self, record: str | int) -> str:
        """Export the link of a record's survey queue.

        Since REDCap 6.4.

        Example:
            >>> redcap.surveys.export_queue_link("1").startswith("http")
            True
        """
        wanted = call_parameters("surveyQueueLink", record=check_required("record", record))
        return export_line(self._transport, "survey queue link export", wanted)

    def export_return_code(
        self,
        record: str | int,
        instrument: str,
        event: str | None = None,
        repeat_instance: int = 1,
    ) -> str:
        """Export the 8 characters by which a participant returns to a survey.

        Since REDCap 6.4; parameters as for `export_link`.

        Example:
            >>> len(redcap.surveys.export_return_code("1", "visit", event="first_arm_1"))
            8
        """
        wanted = self._asked("surveyReturnCode", record, instrument, event, repeat_instance)
        return export_line(self._transport, "survey return code export", wanted)

    def export_access_code(
        self,
        record: str | int,
        instrument: str,
        event: str | None = None,
        repeat_instance: int = 1,
    ) -> str:
        """Export the 9 characters that open a survey (REDCap 14.0 or 15.5: sources differ).

        Parameters as for `export_link`.

        Example:
            >>> len(redcap.surveys.export_access_code("1", "visit", event="first_arm_1"))
            9
        """
        wanted = self._asked("surveyAccessCode", record, instrument, event, repeat_instance)
        return export_line(self._transport, "survey access code export", wanted)

    def export_participants(
        self, instrument: str, event: str | None = None
    ) -> list[dict[str, Any]]:
        """Export the participant list of a survey: addresses, invitations, responses, links.

        Example:
            >>> people = redcap.surveys.export_participants("visit", event="first_arm_1")
            >>> "survey_link" in people[0]
            True
        """
        wanted = call_parameters(
            "participantList", instrument=check_required("instrument", instrument), event=event
        )
        self._names.check_place(form=instrument, event=event)
        return export_rows(self._transport, "participant list export", wanted, "email")

    def _asked(
        self,
        content: str,
        record: str | int,
        instrument: str,
        event: str | None,
        repeat_instance: int,
    ) -> dict[str, str]:
        wanted = call_parameters(
            content,
            record=check_required("record", record),
            instrument=check_required("instrument", instrument),
            event=event,
            repeat_instance=check_positive("repeat_instance", repeat_instance),
        )
        self._names.check_place(form=instrument, event=event)
        return wanted
