"""When the tables are brought up to date."""

import dagster as dg

daily = dg.ScheduleDefinition(
    name="daily",
    target=dg.AssetSelection.all(),
    cron_schedule="0 3 * * *",
    description="Everything, every night at three. Turn it on in the UI, under Automation.",
)
