"""Made-up studies: records that obey a dictionary, none of which is a person's.

A structure is read (`structure_files`, `implied_events`), its logic is compiled once
(`expressions`, `plan`), and records are made up (`visits`, `goals`, `values`, `records`, `making`),
made wrong on request (`judge`, `wrong_values`, `planted_errors`) and put together (`study`).
"""

from redcap_dagster.sandbox.synthesis.planted_errors import KINDS, Finding, PlantedError
from redcap_dagster.sandbox.synthesis.study import MadeUpStudy, make_up_study

__all__ = ["KINDS", "Finding", "MadeUpStudy", "PlantedError", "make_up_study"]
