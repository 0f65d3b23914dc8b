"""The requests of a plan are sent side by side, and their blocks merged to one table.

Imports `api.export.plan` and below.
"""
