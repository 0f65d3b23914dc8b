"""How runs are executed, and the sensor that evaluates automation conditions."""

import os

import dagster as dg

AUTOMATION = os.environ.get("EXAMPLE_AUTOMATION", "STOPPED")
"""RUNNING while ``make ui`` serves a sandbox; for your own project, switch sensors on in the UI."""


@dg.definitions
def execution() -> dg.Definitions:
    """Return an executor with one process per run, and the automation sensor."""
    return dg.Definitions(
        # One process per run. Dagster's default, one per step, is slower for small tables.
        executor=dg.in_process_executor,
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "default_automation_condition_sensor",
                target=dg.AssetSelection.all(),
                description="Materializes assets whose automation condition is met: the analysis.",
                default_status=dg.DefaultSensorStatus(AUTOMATION),
            )
        ],
    )
