"""Reports, PDFs of instruments, and the file repository, in no order.

Imports `sandbox.records`, `sandbox.people`, `sandbox.calls`, `sandbox.store`, `sandbox.protocol`.
"""
