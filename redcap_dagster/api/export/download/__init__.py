"""Sends the requests of a plan in parallel, reports progress and merges the responses.

The entry is `fetcher`. Imports `api.export.plan` and below.
"""
