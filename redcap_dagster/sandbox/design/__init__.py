"""The structure of projects as it is created, exported and imported.

Imports `sandbox.records` and below.
"""
