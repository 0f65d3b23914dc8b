"""Creation of a project by the super token, empty or from a project XML."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from redcap_dagster.project import Field, Instrument, REDCapProject
from redcap_dagster.project.xml.reader import OdmFile, parse_odm
from redcap_dagster.sandbox.calls.call import CreationHandler, Response, respond_with_text
from redcap_dagster.sandbox.design.project_settings import apply_settings, read_settings
from redcap_dagster.sandbox.people.roles import add_project_roles
from redcap_dagster.sandbox.protocol.import_data import Row
from redcap_dagster.sandbox.protocol.parameters import FORMATS, Parameters, RequestError
from redcap_dagster.sandbox.records.files import save_embedded_files
from redcap_dagster.sandbox.records.project_xml import add_quality_rules
from redcap_dagster.sandbox.records.reports import add_project_reports
from redcap_dagster.sandbox.store.loading import Cells, read_data_points
from redcap_dagster.sandbox.store.rights import Rights
from redcap_dagster.sandbox.store.row_keys import check_row_key
from redcap_dagster.sandbox.store.store import Store

# A project as REDCap creates it; the label of its instrument is a guess.
_NEW: Final = REDCapProject(
    fields=(Field("record_id", "my_first_instrument", field_label="Record ID"),),
    instruments=(Instrument("my_first_instrument", "My First Instrument"),),
)


def add_loaded_project(
    store: Store,
    odm: OdmFile,
    cells: Iterable[Cells],
    token: str | None = None,
    rights: Rights | None = None,
) -> str:
    """Add a project with its records, files, roles, reports and rules, and return its token.

    Args:
        store: Store.
        odm: Structure and further content.
        cells: Values of the records.
        token: Token of the first user. Defaults to a random one.
        rights: Rights of the first user. Defaults to all.
    """
    structure = replace(odm.project, version=store.dialect.version)
    token = store.add_project(structure, token, rights)
    if (project := store.find_project(token)) is not None:
        store.save_values(project, cells)
        save_embedded_files(store, project, odm.points)
        add_project_roles(store, project, odm.roles)
        add_project_reports(store, project, odm.reports)
        add_quality_rules(store, project, odm.quality_rules)
    return token


def create_project(store: Store, parameters: Parameters) -> Response:
    """Handle ``content=project``, ``action=import``: respond with the project's token as text."""
    format_ = parameters.get_choice("format", FORMATS, "xml")
    row = read_settings(parameters.get_text("data"), format_)
    xml = parameters.get_text("odm").encode(errors="replace")
    token = add_new_project(store, row, xml)
    return respond_with_text(token, parameters.get_choice("returnFormat", FORMATS, format_))


def add_new_project(store: Store, row: Row, xml: bytes, rights: Rights | None = None) -> str:
    """Add a project with the settings of a row, and return its token.

    Args:
        store: Store.
        row: Settings by name, of which ``project_title`` and ``purpose`` are required.
        xml: Project XML; blank for an empty project.
        rights: Rights of the first user. Defaults to all.

    Raises:
        RequestError: A setting is missing or invalid, or the XML cannot be read.
    """
    if not row.get("project_title") or not row.get("purpose"):
        # Known is that both are required; the text is a guess.
        raise RequestError(400, "You must provide values for 'project_title' and 'purpose'.")
    if row["purpose"] == "1" and not row.get("purpose_other"):
        raise RequestError(
            400,
            "You must provide some text for 'purpose_other' since you specified 'purpose' as '1' "
            "(Other).",
        )
    odm = OdmFile(_NEW, ())
    try:
        if xml:
            odm = parse_odm(xml)
        structure, _ = apply_settings(odm.project, row)
        cells = list(read_data_points(structure, odm.points))
        for row_key, _ in cells:
            check_row_key(structure, row_key)
    except ValueError as error:
        # The text holds no value of the XML.
        raise RequestError(400, f"The project XML is refused: {error}") from None
    return add_loaded_project(store, replace(odm, project=structure), cells, rights=rights)


CREATION_HANDLERS: Final[Mapping[tuple[str, str], CreationHandler]] = {
    ("project", "import"): create_project
}
