"""What runs in Dagster: `ops` starts a run, `instrument` takes, cleans and judges each instrument.

`project_guard` and `shrink_guard` come before all instruments, `bucket_checks` after each. Imports
`specs` and below.
"""
