"""What runs in Dagster: `ops` starts a run, `instrument` takes, cleans and judges each instrument.

`shrink_guard` comes before all instruments, `bucket_checks` after each. Imports `specs` and below.
"""
