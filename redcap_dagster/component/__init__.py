"""The same from YAML: a REDCap project as a Dagster component."""

from redcap_dagster.component.component import REDCapProjectComponent

__all__ = ["REDCapProjectComponent"]
