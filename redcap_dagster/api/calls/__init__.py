"""Calls that many methods share: `parameters` and `import_data`, `rows`, then `project_structure`.

Imports `api.http` and below.
"""
