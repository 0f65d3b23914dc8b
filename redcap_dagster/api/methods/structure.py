"""Exports of a project's structure, as methods of the client."""

from collections.abc import Sequence
from typing import Any

from redcap_dagster.api.calls.parameters import check_required, write_optional_list
from redcap_dagster.api.calls.project_structure import (
    ProjectStructure,
    export_dictionary,
    export_structure,
    export_version,
)
from redcap_dagster.api.calls.rows import (
    HAS_REPEATING,
    IS_LONGITUDINAL,
    export_content,
    export_if_applicable,
    export_info,
)
from redcap_dagster.api.export.verification.census import read_header
from redcap_dagster.api.http.transport import Transport
from redcap_dagster.api.methods.project_names import ProjectNames
from redcap_dagster.project import REDCapProject


class StructureExports:
    """The structure of a project: its info, dictionary, instruments, arms and events."""

    _transport: Transport
    _names: ProjectNames

    def export_project_info(self) -> dict[str, Any]:
        """Return the project info, whose flags are 0 or 1 (REDCap 6.5).

        Raises:
            REDCapError: The request failed. The type says why. So does every export.

        Example:
            >>> redcap.export_project_info()["is_longitudinal"]
            1
        """
        return export_info(self._transport)

    def export_metadata(
        self, fields: Sequence[str] | None = None, forms: Sequence[str] | None = None
    ) -> list[dict[str, str]]:
        """Return the data dictionary: one row per field, in REDCap's order.

        Args:
            fields: Fields to export, in addition to those of `forms`. Defaults to all fields, if
                `forms` are not given either.
            forms: Instruments to export. Defaults to all instruments, if `fields` are not given
                either.

        Example:
            >>> [row["field_name"] for row in redcap.export_metadata(forms=["drug"])]
            ['dose']
        """
        parameters = write_optional_list("fields", fields) | write_optional_list("forms", forms)
        if parameters:
            return export_content(self._transport, "metadata", "field_name", **parameters)
        rows = export_dictionary(self._transport)
        self._names.set_dictionary(rows)
        return rows

    def export_instruments(self) -> list[dict[str, str]]:
        """Return one row per instrument: its name and label.

        Example:
            >>> [row["instrument_name"] for row in redcap.export_instruments()]
            ['visit', 'drug']
        """
        return export_content(self._transport, "instrument", "instrument_name")

    def export_arms(self, arms: Sequence[str | int] | None = None) -> list[dict[str, Any]]:
        """Return one row per arm that has events; no row for a classic project.

        Args:
            arms: Numbers of arms. Defaults to all arms.
        """
        return self._export_if(
            IS_LONGITUDINAL, "arm", "arm_num", **write_optional_list("arms", arms)
        )

    def export_events(self, arms: Sequence[str | int] | None = None) -> list[dict[str, Any]]:
        """Return one row per event; no row for a classic project.

        Args:
            arms: Numbers of arms. Defaults to all arms.

        Example:
            >>> len(redcap.export_arms()), redcap.export_events()[1]["unique_event_name"]
            (1, 'then_arm_1')
        """
        return self._export_if(
            IS_LONGITUDINAL, "event", "unique_event_name", **write_optional_list("arms", arms)
        )

    def export_form_event_mapping(
        self, arms: Sequence[str | int] | None = None
    ) -> list[dict[str, Any]]:
        """Return one row per instrument and event for which it is designated.

        A classic project returns no row.

        Args:
            arms: Numbers of arms. Defaults to all arms.

        Example:
            >>> redcap.export_form_event_mapping()[0]
            {'arm_num': 1, 'unique_event_name': 'first_arm_1', 'form': 'visit'}
        """
        return self._export_if(
            IS_LONGITUDINAL, "formEventMapping", "form", **write_optional_list("arms", arms)
        )

    def export_repeating_forms_events(self) -> list[dict[str, str]]:
        """Return one row per repeating instrument or event, if there are any (REDCap 8.2).

        Example:
            >>> [row["form_name"] for row in redcap.export_repeating_forms_events()]
            ['drug']
        """
        return self._export_if(HAS_REPEATING, "repeatingFormsEvents", "form_name")

    def export_field_names(self, field: str | None = None) -> list[dict[str, str]]:
        """Return one row per export column of a field or checkbox choice (REDCap 6.4).

        File and descriptive fields do not have an export column.

        Args:
            field: Field to export. Defaults to all fields.

        Example:
            >>> [row["export_field_name"] for row in redcap.export_field_names("age")]
            ['age']
        """
        parameters = {} if field is None else {"field": check_required("field", field)}
        return export_content(
            self._transport, "exportFieldNames", "export_field_name", **parameters
        )

    def export_version(self) -> str:
        """Return the version of the REDCap server, such as ``14.7.3``.

        Example:
            >>> redcap.export_version()
            '15.5.0'
        """
        return export_version(self._transport)

    def export_structure(self) -> ProjectStructure:
        """Return all of the above exports at once. Those that do not apply are not requested.

        Example:
            >>> redcap.export_structure().record_id_field
            'record_id'
        """
        structure = export_structure(self._transport)
        self._names.set_dictionary(structure.metadata)
        return structure

    def export_project(self) -> REDCapProject:
        """Return the model of the project, of its structure and the columns of a record export.

        The columns show whether the project has access groups, and which instruments are surveys.
        Where the server sends no header without rows (17.4.1), both count as absent as long as the
        project does not have a record.

        Example:
            >>> [each.instrument_name for each in redcap.export_project().instruments]
            ['visit', 'drug']
        """
        structure = self.export_structure()
        return structure.project(read_header(self._transport, structure.record_id_field))

    def _export_if(
        self, flag: str, content: str, key: str, **parameters: str
    ) -> list[dict[str, Any]]:
        """Return rows that only some projects have; none if project info excludes them."""
        info = self.export_project_info()
        return export_if_applicable(self._transport, info, flag, content, key, **parameters)
