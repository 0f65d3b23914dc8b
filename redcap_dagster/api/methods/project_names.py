"""The names that a project has: what a request names is judged before it is sent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from redcap_dagster.api.calls.project_structure import export_dictionary
from redcap_dagster.api.calls.rows import (
    IS_LONGITUDINAL,
    export_if_applicable,
    export_info,
    is_flag_set,
)
from redcap_dagster.api.export.reader.selection import RecordSelection
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project.system_columns import status_column

Rows = Sequence[Mapping[str, Any]]


class ProjectNames:
    """The fields, forms and events of a project, asked for when they are needed.

    They are kept, and asked for again where one is unknown: it may have been added since.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._dictionary: Rows = []
        self._events: Rows = []

    def learn(self, dictionary: Rows) -> None:
        """Take the names from a dictionary that was exported anyway."""
        self._dictionary = dictionary

    @property
    def dictionary(self) -> Rows:
        """The data dictionary."""
        if not self._dictionary:
            self.learn(export_dictionary(self._transport))
        return self._dictionary

    @property
    def record_id_field(self) -> str:
        """The first field of the dictionary."""
        return str(self.dictionary[0]["field_name"])

    def check_selection(self, selection: RecordSelection) -> None:
        """Refuse a selection that names what the project does not have; see `check`."""
        self.check(
            fields=selection.get("fields"),
            forms=selection.get("forms"),
            events=selection.get("events"),
        )

    def check_place(
        self, *, field: str | None = None, form: str | None = None, event: str | None = None
    ) -> None:
        """Refuse one field, form and event, as far as they are given; see `check`."""
        self.check(
            fields=None if field is None else [field],
            forms=None if form is None else [form],
            events=None if event is None else [event],
        )

    def check(
        self,
        *,
        fields: Iterable[str] | None = None,
        forms: Iterable[str] | None = None,
        events: Iterable[str] | None = None,
    ) -> None:
        """Refuse what the project does not have, before the server does, or takes it for all.

        Raises:
            ValueError: It names the fields, forms and events.
            REDCapError: The names cannot be had; the type says why.
        """
        named = list(fields or ()), list(forms or ())
        if self._unknown(*named):
            self.learn(export_dictionary(self._transport))
        wrong = self._unknown(*named)
        if unknown := set(events or ()) - self._known_events():
            self._events = self._export_events()
            unknown -= self._known_events()
            wrong += [f"event {name!r}" for name in sorted(unknown)]
        if wrong:
            raise ValueError(
                f"The project has no {', no '.join(wrong)}. Fields, forms and events go by their "
                "unique names: see export_metadata and export_events."
            )

    def _unknown(self, fields: Iterable[str], forms: Iterable[str]) -> list[str]:
        known_forms = {row["form_name"] for row in self._dictionary}
        known = {row["field_name"] for row in self._dictionary}
        known |= {status_column(form) for form in known_forms}
        return [
            *(f"field {name!r}" for name in fields if name not in known),
            *(f"form {name!r}" for name in forms if name not in known_forms),
        ]

    def _known_events(self) -> set[str]:
        return {event["unique_event_name"] for event in self._events}

    def _export_events(self) -> Rows:
        if not is_flag_set(export_info(self._transport), IS_LONGITUDINAL):
            return []
        return export_if_applicable(self._transport, "event", "unique_event_name")
