"""Calls that many methods share.

In the order of use: `parameters`, `import_data`, `rows` and `file_response`, `project_structure`.

Imports `api.http` and below.
"""
