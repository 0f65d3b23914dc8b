"""What Dagster's catalog shows of a table: its columns, metadata and versions; and its event log.

`column_schema` and `versions` come first, `metadata` adds them to a result, `event_log` reads what
earlier runs added. Imports `checks` and below.
"""
