"""The same from YAML: a REDCap project as a Dagster component."""

from redcap_dagster.component.project import REDCapProjectComponent

__all__ = ["REDCapProjectComponent"]
