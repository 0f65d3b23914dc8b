"""Surveys: links, codes and participants."""

from dataclasses import dataclass
from typing import Any

from redcap_dagster.api.calls.parameters import call_parameters, check_positive, check_required
from redcap_dagster.api.calls.rows import export_line, export_rows
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames


@dataclass(frozen=True, slots=True)
class Surveys:
    """Links, codes and participants of surveys. Needs the right to manage survey participants.

    Anyone with a link or a code can fill in the survey for the participant: treat it like a
    password.

    Example:
        >>> len(redcap.surveys.export_access_code("1", "visit", event="first_arm_1"))
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
        """Return the survey link of a record (REDCap 6.4).

        Args:
            record: The record id.
            instrument: The instrument of the survey.
            event: The event, in a longitudinal project. Defaults to none.
            repeat_instance: The instance, where the instrument or event repeats. Defaults to 1.

        Raises:
            ValueError: The project does not have such an instrument or event. Nothing was requested
                for the record.
            RefusedError: The record does not exist.
            REDCapError: The request failed. The type says why. So does every method.

        Example:
            >>> redcap.surveys.export_link("1", "visit", event="first_arm_1").startswith("http")
            True
        """
        parameters = self._write_parameters(
            "surveyLink", record, instrument, event, repeat_instance
        )
        return export_line(self._transport, "survey link export", parameters)

    def export_queue_link(self, record: str | int) -> str:
        """Return the link of a record's survey queue (REDCap 6.4).

        Example:
            >>> redcap.surveys.export_queue_link("1").startswith("http")
            True
        """
        parameters = call_parameters("surveyQueueLink", record=check_required("record", record))
        return export_line(self._transport, "survey queue link export", parameters)

    def export_return_code(
        self,
        record: str | int,
        instrument: str,
        event: str | None = None,
        repeat_instance: int = 1,
    ) -> str:
        """Return the 8 characters with which a participant returns to a survey (REDCap 6.4).

        The parameters are those of `export_link`.

        Example:
            >>> len(redcap.surveys.export_return_code("1", "visit", event="first_arm_1"))
            8
        """
        parameters = self._write_parameters(
            "surveyReturnCode", record, instrument, event, repeat_instance
        )
        return export_line(self._transport, "survey return code export", parameters)

    def export_access_code(
        self,
        record: str | int,
        instrument: str,
        event: str | None = None,
        repeat_instance: int = 1,
    ) -> str:
        """Return the 9 characters that open a survey (REDCap 14.0 or 15.5: sources differ).

        The parameters are those of `export_link`.

        Example:
            >>> len(redcap.surveys.export_access_code("1", "visit", event="first_arm_1"))
            9
        """
        parameters = self._write_parameters(
            "surveyAccessCode", record, instrument, event, repeat_instance
        )
        return export_line(self._transport, "survey access code export", parameters)

    def export_participants(
        self, instrument: str, event: str | None = None
    ) -> list[dict[str, Any]]:
        """Return one row per participant of a survey: email, invitation, response status and link.

        Args:
            instrument: The instrument of the survey.
            event: The event, in a longitudinal project. Defaults to none.

        Raises:
            ValueError: The project does not have such an instrument or event.

        Example:
            >>> people = redcap.surveys.export_participants("visit", event="first_arm_1")
            >>> "survey_link" in people[0]
            True
        """
        parameters = call_parameters(
            "participantList", instrument=check_required("instrument", instrument), event=event
        )
        self._names.check_place(form=instrument, event=event)
        return export_rows(self._transport, "participant list export", parameters, "email")

    def _write_parameters(
        self,
        content: str,
        record: str | int,
        instrument: str,
        event: str | None,
        repeat_instance: int,
    ) -> dict[str, str]:
        parameters = call_parameters(
            content,
            record=check_required("record", record),
            instrument=check_required("instrument", instrument),
            event=event,
            repeat_instance=check_positive("repeat_instance", repeat_instance),
        )
        self._names.check_place(form=instrument, event=event)
        return parameters
