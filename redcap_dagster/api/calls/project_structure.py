"""The structure of a project, exported: dictionary, instruments, arms, events and the like."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from redcap_dagster.api.calls.parameters import call_parameters
from redcap_dagster.api.calls.rows import (
    HAS_REPEATING,
    IS_LONGITUDINAL,
    export_content,
    export_if_applicable,
    export_info,
)
from redcap_dagster.api.errors import EmptyResponseError
from redcap_dagster.api.http.response import Response, malformed_error, read_text
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.project import REDCapProject

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ProjectStructure:
    """The structure exports of one project, each as REDCap sent it, without any record.

    Exports that do not apply to the project are empty: arms and events of a classic project,
    repeating instruments where nothing repeats.
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
        """The field that holds the record id: the first field of the dictionary."""
        return str(self.metadata[0]["field_name"])

    def project(self, header: Iterable[str] = ()) -> REDCapProject:
        """Return the model of the project.

        Args:
            header: The columns of a record export of all fields, with access groups and survey
                fields: no other export says whether the project has them. Defaults to neither.

        Raises:
            ValueError: The exports contradict each other.
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
    """Return the structure of a project. Exports that do not apply to it are not requested.

    Raises:
        REDCapError: A request failed. The type says why.
    """
    info = export_info(transport)

    def export_list_if(flag: str, content: str, key: str) -> Rows:
        return export_if_applicable(transport, info, flag, content, key)

    return ProjectStructure(
        info=info,
        metadata=export_dictionary(transport),
        instruments=export_content(transport, "instrument", "instrument_name"),
        arms=export_list_if(IS_LONGITUDINAL, "arm", "arm_num"),
        events=export_list_if(IS_LONGITUDINAL, "event", "unique_event_name"),
        form_event_mapping=export_list_if(IS_LONGITUDINAL, "formEventMapping", "form"),
        repeating=export_list_if(HAS_REPEATING, "repeatingFormsEvents", "form_name"),
        field_names=export_content(transport, "exportFieldNames", "export_field_name"),
        version=export_version(transport),
    )


def export_dictionary(transport: Transport) -> Rows:
    """Return the data dictionary: one row per field, in REDCap's order.

    Raises:
        EmptyResponseError: It has no field.
        REDCapError: The request failed. The type says why.
    """
    rows = export_content(transport, "metadata", "field_name")
    if not rows:
        raise EmptyResponseError(
            "metadata export: the data dictionary is empty, but every project has at least the "
            "record id field. Try again, or check the project in REDCap."
        )
    return rows


def export_version(transport: Transport) -> str:
    """Return the version of the server, such as ``14.7.3``.

    Raises:
        REDCapError: The request failed. The type says why.
    """

    def receive(response: Response) -> str:
        text = read_text(response).strip()
        if not re.fullmatch(r"\d+(\.\d+)+", text):
            raise malformed_error(response, "it is not a version number")
        return text

    return transport.post("version export", call_parameters("version"), receive)
