"""Where projects are kept: loading fills the store, database is its SQLite, rights guard it.

Imports `sandbox.protocol` and below.
"""
