"""A project as REDCap describes it: frozen values, no I/O.

Example:
    >>> from redcap_dagster.project import REDCapProject
    >>> rows = [{"field_name": "record_id", "form_name": "visit"}]
    >>> REDCapProject.from_exports(metadata=rows).instruments
    (Instrument(instrument_name='visit', instrument_label='Visit'),)
"""

from redcap_dagster.project.choices import Choice, parse_choices
from redcap_dagster.project.drift import Change, compare_projects
from redcap_dagster.project.links import build_page_url
from redcap_dagster.project.model import NOT_COMPLETED, Column, REDCapProject
from redcap_dagster.project.rows import (
    Arm,
    Event,
    ExportFieldName,
    Field,
    FormEvent,
    Instrument,
    ProjectInfo,
    Repeating,
    StructureError,
)
from redcap_dagster.project.xml.reader import from_xml

# Earlier names.
changes = compare_projects
page = build_page_url

__all__ = [
    "NOT_COMPLETED",
    "Arm",
    "Change",
    "Choice",
    "Column",
    "Event",
    "ExportFieldName",
    "Field",
    "FormEvent",
    "Instrument",
    "ProjectInfo",
    "REDCapProject",
    "Repeating",
    "StructureError",
    "build_page_url",
    "changes",
    "compare_projects",
    "from_xml",
    "page",
    "parse_choices",
]
