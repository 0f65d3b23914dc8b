"""What runs in Dagster: `ops` starts a run, `instrument` takes, cleans and judges each instrument.

`guards` come before all instruments, `bucket_checks` after each. Imports
`specs` and below.
"""
