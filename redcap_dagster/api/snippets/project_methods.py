"""The methods of REDCap's API for a project and its design."""

from dataclasses import replace
from typing import Final

from redcap_dagster.api.snippets.method import ClientCall, Method, Parameter
from redcap_dagster.api.snippets.shared import (
    ACCESS_GROUPS,
    ARMS,
    DATA,
    EVENTS,
    FIELD,
    FIELDS,
    FILTER,
    FORMS,
    JSON_FORMAT,
    OVERRIDE,
    RECORDS,
    RETURN_FORMAT,
    SURVEY_FIELDS,
    make_export_method,
    make_import_method,
    make_line_method,
)

_CREATION: Final = Method(
    "Create A New Project",
    "project",
    "import",
    (JSON_FORMAT, RETURN_FORMAT, DATA, Parameter("odm", "Project XML", "text")),
    (ClientCall("projects.create"),),
    needs_super_token=True,
)

PROJECT_METHODS: Final = (
    make_export_method("Export Arms", "arm", "export_arms", ARMS),
    make_import_method("Import Arms", "arm", "design.import_arms", OVERRIDE),
    make_line_method(
        "Delete Arms", "arm", "delete", "design.delete_arms", replace(ARMS, required=True)
    ),
    make_export_method(
        "Export Events", "event", "export_events", ARMS, tables=("metadata/events",)
    ),
    make_import_method("Import Events", "event", "design.import_events", OVERRIDE),
    make_line_method(
        "Delete Events", "event", "delete", "design.delete_events", replace(EVENTS, required=True)
    ),
    make_export_method(
        "Export List of Export Field Names",
        "exportFieldNames",
        "export_field_names",
        replace(FIELD, required=False),
    ),
    make_export_method(
        "Export Instruments (Data Entry Forms)",
        "instrument",
        "export_instruments",
        tables=("metadata/instruments",),
    ),
    make_export_method(
        "Export Instrument-Event Mappings",
        "formEventMapping",
        "export_form_event_mapping",
        ARMS,
        tables=("metadata/form_events",),
    ),
    make_import_method(
        "Import Instrument-Event Mappings", "formEventMapping", "design.import_form_event_mapping"
    ),
    make_export_method(
        "Export Metadata (Data Dictionary)",
        "metadata",
        "export_metadata",
        FIELDS,
        FORMS,
        tables=("metadata/fields", "metadata/choices"),
    ),
    make_import_method("Import Metadata (Data Dictionary)", "metadata", "design.import_metadata"),
    _CREATION,
    Method(
        "Import Project Information",
        "project_settings",
        "import",
        (JSON_FORMAT, RETURN_FORMAT, replace(DATA, other_argument="settings")),
        (ClientCall("projects.import_settings"),),
    ),
    make_export_method(
        "Export Project Information", "project", "export_project_info", tables=("metadata/project",)
    ),
    Method(
        "Export Project XML",
        "project_xml",
        "export",
        (
            RETURN_FORMAT,
            Parameter("returnMetadataOnly", "Only the structure", "flag"),
            Parameter("exportFiles", "Export files", "flag"),
            SURVEY_FIELDS,
            ACCESS_GROUPS,
            FILTER,
            RECORDS,
            EVENTS,
            FIELDS,
        ),
        (ClientCall("projects.export_xml"),),
    ),
    make_export_method(
        "Export Repeating Instruments and Events",
        "repeatingFormsEvents",
        "export_repeating_forms_events",
        tables=("metadata/repeating",),
    ),
    make_import_method(
        "Import Repeating Instruments and Events",
        "repeatingFormsEvents",
        "design.import_repeating_forms_events",
    ),
    make_line_method("Export REDCap Version", "version", "export", "export_version"),
)
