"""The refusals to replace stored tables, each with the run tag that allows it.

Imports `run_records` and below.
"""
