"""Plans the requests of an export: listing, column sets, record requests, query, adaptive limits.

Used by `api.export.download` and above. Imports `api.export.reader` and below.
"""
