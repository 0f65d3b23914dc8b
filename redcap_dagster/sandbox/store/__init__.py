"""Projects in SQLite: database, then rights, row keys and columns, then the store and loading.

Imports `sandbox.protocol`.
"""
