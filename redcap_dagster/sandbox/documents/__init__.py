"""Reports, PDFs and the file repository.

Imports `sandbox.records` and below.
"""
