"""The list of open queries as workbooks for the people who mend them, and what these send back."""

from redcap_dagster.workbooks.reader import Confirmation, Refusal, read_confirmations
from redcap_dagster.workbooks.writer import write_workbooks

__all__ = ["Confirmation", "Refusal", "read_confirmations", "write_workbooks"]
