"""What runs in Dagster: `ops` starts a run, `all_tables` makes what it selects.

`guards` come before all instruments, `instrument` takes, cleans and judges each, `all_forms` makes
the tables over all of them, `bucket_checks` come last. Imports `specs` and below.
"""
