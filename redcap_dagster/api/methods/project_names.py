"""The names in a project, against which the names in a request are checked before it is sent."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from redcap_dagster.api.calls.project_structure import export_dictionary
from redcap_dagster.api.calls.rows import (
    IS_LONGITUDINAL,
    export_if_applicable,
    export_info,
)
from redcap_dagster.api.errors import ProjectChangedError
from redcap_dagster.api.export.reader.selection import RecordSelection
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject
from redcap_dagster.project.name_lists import list_names
from redcap_dagster.project.system_columns import status_column

T = TypeVar("T")

Rows = Sequence[Mapping[str, Any]]


class ProjectNames:
    """The fields, instruments and events of a project, exported when they are needed.

    They are kept, and exported again where a name is unknown, as it may have been added since.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._dictionary: Rows = []
        self._events: Rows = []

    def set_dictionary(self, dictionary: Rows) -> None:
        """Use a dictionary that was exported already."""
        self._dictionary = dictionary

    @property
    def dictionary(self) -> Rows:
        """The data dictionary."""
        if not self._dictionary:
            self.set_dictionary(export_dictionary(self._transport))
        return self._dictionary

    @property
    def project(self) -> REDCapProject:
        """The model of the dictionary alone."""
        return REDCapProject.from_exports(metadata=self.dictionary)

    @property
    def record_id_field(self) -> str:
        """The record id field: the first field of the dictionary."""
        return str(self.dictionary[0]["field_name"])

    def use_current(self, export: Callable[[], T]) -> T:
        """Return the result of an export, made again if the dictionary was changed meanwhile.

        Raises:
            ProjectChangedError: It was changed again.
        """
        try:
            return export()
        except ProjectChangedError:
            self.set_dictionary(export_dictionary(self._transport))
        return export()

    def check_selection(self, selection: RecordSelection) -> None:
        """Raise if a selection has names that the project does not have; see `check`."""
        self.check(
            fields=selection.get("fields"),
            forms=selection.get("forms"),
            events=selection.get("events"),
        )

    def check_place(
        self, *, field: str | None = None, form: str | None = None, event: str | None = None
    ) -> None:
        """Raise if the project does not have a field, an instrument or an event; see `check`."""
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
        """Raise if the project does not have some fields, instruments or events.

        The server would refuse the request, or ignore the names and return all.

        Raises:
            ValueError: The project does not have them. The message names them.
            REDCapError: A request for the names failed. The type says why.
        """
        named = list(fields or ()), list(forms or ())
        if self._list_unknown(*named):
            self.set_dictionary(export_dictionary(self._transport))
        wrong = self._list_unknown(*named)
        if unknown := set(events or ()) - self._known_events():
            self._events = self._export_events()
            unknown -= self._known_events()
            wrong += [f"event {name!r}" for name in sorted(unknown)]
        if wrong:
            raise ValueError(
                f"The project does not have {list_names(wrong)}. Give unique names, as "
                "export_metadata and export_events return them."
            )

    def _list_unknown(self, fields: Iterable[str], forms: Iterable[str]) -> list[str]:
        known_forms = {row["form_name"] for row in self._dictionary}
        known = {row["field_name"] for row in self._dictionary}
        known |= {status_column(form) for form in known_forms}
        return [
            *(f"field {name!r}" for name in fields if name not in known),
            *(f"instrument {name!r}" for name in forms if name not in known_forms),
        ]

    def _known_events(self) -> set[str]:
        return {event["unique_event_name"] for event in self._events}

    def _export_events(self) -> Rows:
        info = export_info(self._transport)
        return export_if_applicable(
            self._transport, info, IS_LONGITUDINAL, "event", "unique_event_name"
        )
