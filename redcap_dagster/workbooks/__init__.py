"""The list of open queries as workbooks for the people who mend them, and what these send back."""

from redcap_dagster.workbooks.reader import read_workbook
from redcap_dagster.workbooks.writer import (
    RuleDescription,
    WorkbookError,
    check_folder,
    write_workbooks,
)

__all__ = ["RuleDescription", "WorkbookError", "check_folder", "read_workbook", "write_workbooks"]
