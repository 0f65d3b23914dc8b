"""Records: selection, layout and labels, then export; validation, then import; then the rest.

Imports `sandbox.people`, `sandbox.calls`, `sandbox.store`, `sandbox.protocol`.
"""
