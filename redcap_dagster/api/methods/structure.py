"""The exports of a project's structure, as methods of the client."""

from collections.abc import Sequence
from typing import Any

from redcap_dagster.api.calls.parameters import call_parameters, check_required, write_optional_list
from redcap_dagster.api.calls.project_structure import (
    ProjectStructure,
    export_dictionary,
    export_structure,
    export_version,
)
from redcap_dagster.api.calls.rows import (
    HAS_REPEATING,
    IS_LONGITUDINAL,
    export_if_applicable,
    export_info,
    export_rows,
    is_flag_set,
)
from redcap_dagster.api.export.verification.census import read_header
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames
from redcap_dagster.project import REDCapProject


class StructureExports:
    """What REDCap says of a project: its attributes, dictionary, forms, arms and events."""

    _transport: Transport
    _names: ProjectNames

    def export_project_info(self) -> dict[str, Any]:
        """Export the project's attributes (REDCap 6.5); flags are ints.

        Raises:
            REDCapError: Of the type that says what is wrong; so does every export.

        Example:
            >>> redcap.export_project_info()["is_longitudinal"]
            1
        """
        return export_info(self._transport)

    def export_metadata(
        self, fields: Sequence[str] | None = None, forms: Sequence[str] | None = None
    ) -> list[dict[str, str]]:
        """Export the data dictionary, by default all of it: a row per field, in REDCap's order.

        Example:
            >>> [row["field_name"] for row in redcap.export_metadata(forms=["drug"])]
            ['dose']
        """
        parameters = write_optional_list("fields", fields) | write_optional_list("forms", forms)
        if parameters:
            return self._export_rows("metadata", "field_name", **parameters)
        rows = export_dictionary(self._transport)
        self._names.learn(rows)
        return rows

    def export_instruments(self) -> list[dict[str, str]]:
        """Export names and labels of the instruments.

        Example:
            >>> [row["instrument_name"] for row in redcap.export_instruments()]
            ['visit', 'drug']
        """
        return self._export_rows("instrument", "instrument_name")

    def export_arms(self, arms: Sequence[str | int] | None = None) -> list[dict[str, Any]]:
        """Export the arms that have events, by default all; none of a classic project."""
        return self._export_where(
            IS_LONGITUDINAL, "arm", "arm_num", **write_optional_list("arms", arms)
        )

    def export_events(self, arms: Sequence[str | int] | None = None) -> list[dict[str, Any]]:
        """Export the events of some arms, by default of all; none of a classic project.

        Example:
            >>> len(redcap.export_arms()), redcap.export_events()[1]["unique_event_name"]
            (1, 'then_arm_1')
        """
        return self._export_where(
            IS_LONGITUDINAL, "event", "unique_event_name", **write_optional_list("arms", arms)
        )

    def export_form_event_mapping(
        self, arms: Sequence[str | int] | None = None
    ) -> list[dict[str, Any]]:
        """Export which form is designated in which event; nothing of a classic project.

        Example:
            >>> redcap.export_form_event_mapping()[0]
            {'arm_num': 1, 'unique_event_name': 'first_arm_1', 'form': 'visit'}
        """
        return self._export_where(
            IS_LONGITUDINAL, "formEventMapping", "form", **write_optional_list("arms", arms)
        )

    def export_repeating_forms_events(self) -> list[dict[str, str]]:
        """Export the repeating forms and events (REDCap 8.2); nothing where there are none.

        Example:
            >>> [row["form_name"] for row in redcap.export_repeating_forms_events()]
            ['drug']
        """
        return self._export_where(HAS_REPEATING, "repeatingFormsEvents", "form_name")

    def export_field_names(self, field: str | None = None) -> list[dict[str, str]]:
        """Export the export column of each field and checkbox option, or those of one field.

        File and descriptive fields are not in it. Since REDCap 6.4.

        Example:
            >>> [row["export_field_name"] for row in redcap.export_field_names("age")]
            ['age']
        """
        wanted = {} if field is None else {"field": check_required("field", field)}
        return self._export_rows("exportFieldNames", "export_field_name", **wanted)

    def export_version(self) -> str:
        """Export the version of the REDCap server, such as ``14.7.3``.

        Example:
            >>> redcap.export_version()
            '15.5.0'
        """
        return export_version(self._transport)

    def export_structure(self) -> ProjectStructure:
        """Export all of the above, each once, as far as the project has it.

        What a classic project cannot have is not asked for, nor are repeating forms where project
        info says that there are none.
        """
        structure = export_structure(self._transport)
        self._names.learn(structure.metadata)
        return structure

    def export_project(self) -> REDCapProject:
        """Export the structure and the header of an export of everything, as one model.

        The header says whether the project has access groups and which forms are surveys; a
        server that sends none without rows (17.4.1) leaves both as absent as long as the project
        has no record.

        Example:
            >>> redcap.export_structure().record_id_field
            'record_id'
            >>> [form.instrument_name for form in redcap.export_project().instruments]
            ['visit', 'drug']
        """
        structure = self.export_structure()
        return structure.project(read_header(self._transport, structure.record_id_field))

    def _export_rows(self, content: str, key: str, **parameters: str) -> list[dict[str, Any]]:
        return export_rows(
            self._transport, f"{content} export", call_parameters(content) | parameters, key
        )

    def _export_where(
        self, flag: str, content: str, key: str, **parameters: str
    ) -> list[dict[str, Any]]:
        """Export what only some projects have, if project info says that this one does."""
        applicable = is_flag_set(self.export_project_info(), flag)
        return (
            export_if_applicable(self._transport, content, key, **parameters) if applicable else []
        )
