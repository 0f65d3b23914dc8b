"""Users, roles and data access groups.

Imports `sandbox.calls` and below.
"""
