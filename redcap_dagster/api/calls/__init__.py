"""What most methods share: parameters and imported data in, rows or project structure out.

Imports `api.http` and below.
"""
