"""The methods of the client, one module per noun of REDCap's API; `project_names` checks names.

Used by `api.client` only. Imports `api.export`, `api.calls` and below.
"""
