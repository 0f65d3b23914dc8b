"""A REDCap project as a Dagster component: the options of `build_redcap_definitions` from YAML.

`component` is the entry; `yaml_options`, `storage` and `yaml_values` read its YAML, `scaffolder`
writes it. Imports `redcap_dagster.definitions` and below.
"""

from redcap_dagster.component.component import REDCapProjectComponent

__all__ = ["REDCapProjectComponent"]
