"""The administrative side of a project: the rooms that answer for it, together."""

from collections.abc import Mapping
from typing import Final

from redcap_dagster.sandbox import (
    creation,
    files,
    groups,
    pdf,
    project_xml,
    reports,
    repository,
    roles,
    structure_imports,
    surveys,
    users,
)
from redcap_dagster.sandbox.reply import Answerer, Creator

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
