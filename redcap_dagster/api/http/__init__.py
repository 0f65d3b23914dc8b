"""One POST to REDCap: url and session connect, transport sends, response and refusals read.

Imports only `api.errors`; `requests` and `urllib3` are used nowhere else.
"""
