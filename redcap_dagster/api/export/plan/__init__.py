"""Which requests an export is cut into: query, listing, parts, then record requests.

Imports `api.export.reader` and below.
"""
