"""Data access groups, then the rights of users and roles as rows, then users and roles.

Imports `sandbox.calls`, `sandbox.store` and `sandbox.protocol`.
"""
