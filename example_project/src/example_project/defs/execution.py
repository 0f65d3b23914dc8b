"""How assets are made, and what makes them by itself."""

import dagster as dg


@dg.definitions
def execution() -> dg.Definitions:
    """Run each run in one process, and let automation conditions wake assets."""
    return dg.Definitions(
        # For small tables quicker than Dagster's own way, a process for each step.
        executor=dg.in_process_executor,
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "default_automation_condition_sensor",
                target=dg.AssetSelection.all(),
                default_status=dg.DefaultSensorStatus.RUNNING,  # Dagster's own is off at first.
            )
        ],
    )
