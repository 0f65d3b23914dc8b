"""The administrative side of a project: the rooms that answer for it, together."""

from collections.abc import Mapping
from typing import Final

from redcap_dagster.sandbox.calls.call import Answerer, Creator
from redcap_dagster.sandbox.design import creation, structure_imports
from redcap_dagster.sandbox.documents import file_repository as repository
from redcap_dagster.sandbox.documents import pdf, reports
from redcap_dagster.sandbox.people import data_access_groups as groups
from redcap_dagster.sandbox.people import roles, users
from redcap_dagster.sandbox.records import files, project_xml, surveys

ANSWERS: Final[Mapping[tuple[str, str], Answerer]] = {
    **creation.ANSWERS,
    **files.ANSWERS,
    **groups.ANSWERS,
    **pdf.ANSWERS,
    **project_xml.ANSWERS,
    **reports.ANSWERS,
    **repository.ANSWERS,
    **roles.ANSWERS,
    **structure_imports.ANSWERS,
    **surveys.ANSWERS,
    **users.ANSWERS,
}
"""What answers each content and action of a project's token."""

CREATORS: Final[Mapping[tuple[str, str], Creator]] = {**creation.CREATORS}
"""What answers each content and action of the super token."""
