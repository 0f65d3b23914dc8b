"""Changes in REDCap -> run requests.

In the order of use: `change_sensor`, `requested_runs`, `change_detection`, then `log_changes` or
`date_changes`. `log_reader` finds the entries of the log, `log_entries` classifies them. Imports
`redcap_dagster.failures`, `resource`, `partitions`, `api` and `project`.
"""

from redcap_dagster.sensors.change_sensor import build_redcap_change_sensor

__all__ = ["build_redcap_change_sensor"]
