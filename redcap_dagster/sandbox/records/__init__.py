"""Records: exported (selection, layout, labels), imported (validation), renamed and deleted.

Imports `sandbox.people` and below.
"""
