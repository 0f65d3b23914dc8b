"""The record import: row keys and values are validated, then all of a request is stored or none."""

from redcap_dagster.sandbox.records.record_import.handler import HANDLERS

__all__ = ["HANDLERS"]
