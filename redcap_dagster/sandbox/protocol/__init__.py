"""REDCap's protocol: parameters of a request, then import data, then formats of responses.

Imports no other folder of the sandbox, and `dialects`.
"""
