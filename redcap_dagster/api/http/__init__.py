"""Sends one POST to REDCap and reads its response: `url`, `session`, `transport`, then `response`.

Imports `api.errors` and `project.name_lists`. No other folder uses `requests` or `urllib3`.
"""
