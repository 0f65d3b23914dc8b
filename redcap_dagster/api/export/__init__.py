"""A record export in the order of its steps: plan, download (through reader), verification.

Its entry is `snapshot`. Imports `api.calls` and below, never `api.methods`.
"""
