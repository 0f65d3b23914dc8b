"""Reads a record export as Arrow text: selection, CSV blocks, batches, row keys, records.

Used by all other folders of `api.export`. Imports `api.calls` and below.
"""
