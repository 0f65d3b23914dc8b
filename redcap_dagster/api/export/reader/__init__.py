"""The CSV of a record export becomes Arrow text: selection, blocks, rows and their keys.

The ground of `api.export`; imports `api.calls` and below.
"""
