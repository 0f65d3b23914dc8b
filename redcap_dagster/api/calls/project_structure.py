"""What REDCap says of a project's structure, as it exports it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import (
    EVENTS,
    REPEATS,
    export_if_applicable,
    export_info,
    export_rows,
    is_flag_set,
)
from redcap_dagster.api.errors import EmptyResponseError
from redcap_dagster.api.http.response import Response, malformed_error, read_text
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ProjectStructure:
    """The structure exports of one project, each as REDCap sent it, none with a record in it.

    What the project does not have (arms and events of a classic one, repeating forms) is empty.
    """

    info: dict[str, Any] = field(repr=False)
    metadata: Rows = field(repr=False)
    instruments: Rows = field(repr=False)
    arms: Rows = field(repr=False)
    events: Rows = field(repr=False)
    form_event_mapping: Rows = field(repr=False)
    repeating: Rows = field(repr=False)
    field_names: Rows = field(repr=False)
    version: str

    @property
    def record_id_field(self) -> str:
        """The field that holds the record id: the first of the dictionary, whatever its name."""
        return str(self.metadata[0]["field_name"])

    def project(self, header: Iterable[str] = ()) -> REDCapProject:
        """Build the model of the project.

        Args:
            header: The columns of a record export of everything, with access groups and survey
                fields, which alone tell whether the project has them.

        Raises:
            ValueError: The exports do not fit together.
        """
        return REDCapProject.from_exports(
            metadata=self.metadata,
            instruments=self.instruments,
            info=self.info,
            arms=self.arms,
            events=self.events,
            form_event_mapping=self.form_event_mapping,
            repeating=self.repeating,
            field_names=self.field_names,
            version=self.version,
            header=header,
        )


def export_structure(transport: Transport) -> ProjectStructure:
    """Export the structure, asking for nothing that project info says the project has not.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """
    info = export_info(transport)

    def every(content: str, key: str) -> Rows:
        return export_rows(transport, f"{content} export", call_parameters(content), key)

    def where(flag: str, content: str, key: str) -> Rows:
        return export_if_applicable(transport, content, key) if is_flag_set(info, flag) else []

    return ProjectStructure(
        info=info,
        metadata=export_dictionary(transport),
        instruments=every("instrument", "instrument_name"),
        arms=where(EVENTS, "arm", "arm_num"),
        events=where(EVENTS, "event", "unique_event_name"),
        form_event_mapping=where(EVENTS, "formEventMapping", "form"),
        repeating=where(REPEATS, "repeatingFormsEvents", "form_name"),
        field_names=every("exportFieldNames", "export_field_name"),
        version=export_version(transport),
    )


def export_dictionary(transport: Transport) -> Rows:
    """Export the whole data dictionary.

    Raises:
        EmptyResponseError: It has no field.
        REDCapError: Of the type that says what is wrong.
    """
    rows = export_rows(transport, "metadata export", call_parameters("metadata"), "field_name")
    if not rows:
        raise EmptyResponseError(
            "metadata export: the data dictionary is empty, and every project has at least "
            "the record id. Try again, or look at the project in REDCap."
        )
    return rows


def export_version(transport: Transport) -> str:
    """Export the version of the server.

    Raises:
        REDCapError: Of the type that says what is wrong.
    """

    def receive(response: Response) -> str:
        text = read_text(response).strip()
        if not re.fullmatch(r"\d+(\.\d+)+", text):
            raise malformed_error(response, "it is no version number")
        return text

    return transport.post("version export", call_parameters("version"), receive)
