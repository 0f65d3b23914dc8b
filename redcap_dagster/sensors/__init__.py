"""What changed in REDCap becomes run requests."""

from redcap_dagster.sensors.change_sensor import build_redcap_change_sensor

__all__ = ["build_redcap_change_sensor"]
