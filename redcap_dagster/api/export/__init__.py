"""A record export: plan requests, download and merge them, verify the result; `reader` reads CSV.

The entry is `snapshot`. Imports `api.calls` and below.
"""
