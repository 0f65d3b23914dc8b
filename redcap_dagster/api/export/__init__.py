"""A record export: plan requests, download and merge them, verify the result; `reader` reads CSV.

The entries are `small_export` and `snapshot`. Imports `api.calls` and below.
"""
