"""The structure of projects: settings and creation, then exports, then imports that change it.

Imports `sandbox.records`, `sandbox.calls`, `sandbox.store` and `sandbox.protocol`.
"""
