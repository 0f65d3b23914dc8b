"""Verifies an export: census, completeness, changed records, consistency.

The entry is `consistency`. Imports `api.export.download` and below.
"""
