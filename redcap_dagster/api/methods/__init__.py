"""The methods of the client, one module for each noun of REDCap's API.

Called by `api.client` alone. Imports `api.export`, `api.calls` and below.
"""
