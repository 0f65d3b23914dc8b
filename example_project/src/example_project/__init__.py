"""A study in REDCap, its tables, and what an analyst does next: a Dagster project to copy."""
