"""What a table tells of itself in Dagster: column schema, metadata, versions, and its event log.

Imports `checks` and below; `execution` adds the entries to the results of a run.
"""
