"""A project as REDCap describes it: frozen values without input or output, except `from_xml`.

In the order of use: `rows`, `choices`, `columns`, `export_columns`, `instrument_columns`,
`structure_text`, `model`, then `drift`, `links`, `logic` and `xml`. Imports nothing else of this
package.

For users:

- `REDCapProject`: the structure of a project.
- `from_xml`: the structure of a project XML file.
- `Field`: one row of the data dictionary.
- `Choice`: one option of a multiple-choice field.
- `compare_projects`: the changes between two structures, each a `Change`.
- `StructureError`: the error of a structure that does not match its tables.

The other names are for the package itself.

Example:
    >>> from redcap_dagster.project import REDCapProject
    >>> rows = [{"field_name": "record_id", "form_name": "visit"}]
    >>> REDCapProject.from_exports(metadata=rows).instruments
    (Instrument(instrument_name='visit', instrument_label='Visit'),)
"""

from redcap_dagster.project.choices import Choice, parse_choices
from redcap_dagster.project.columns import NOT_COMPLETED, Column
from redcap_dagster.project.drift import Change, compare_projects
from redcap_dagster.project.links import build_page_url
from redcap_dagster.project.model import REDCapProject
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

# Earlier names, which can still be imported.
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
    "compare_projects",
    "from_xml",
    "parse_choices",
]
