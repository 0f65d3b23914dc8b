"""The list of open queries as workbooks for the people who mend them, and what these send back."""

from redcap_dagster.tables.quality import RuleDescription
from redcap_dagster.workbooks.layout import WorkbookError
from redcap_dagster.workbooks.reader import read_filled_in, read_workbook
from redcap_dagster.workbooks.writer import check_folder, write_workbooks

__all__ = [
    "RuleDescription",
    "WorkbookError",
    "check_folder",
    "read_filled_in",
    "read_workbook",
    "write_workbooks",
]
