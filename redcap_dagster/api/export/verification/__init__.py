"""Whether an export is complete and consistent: census, changed records, completeness.

Imports `api.export.download` and below.
"""
