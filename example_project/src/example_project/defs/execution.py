"""How runs are executed, and the sensor that evaluates automation conditions."""

import dagster as dg


@dg.definitions
def execution() -> dg.Definitions:
    """Return an executor with one process per run, and the automation sensor, switched on."""
    return dg.Definitions(
        # One process per run. Dagster's default, one per step, is slower for small tables.
        executor=dg.in_process_executor,
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "default_automation_condition_sensor",
                target=dg.AssetSelection.all(),
                default_status=dg.DefaultSensorStatus.RUNNING,  # Dagster's default is off.
            )
        ],
    )
