"""Two studies in REDCap, their tables and an analysis: a Dagster project to copy."""
