"""Record imports: the target checks rows, batches send or compare them, results say what was done.

Used by `api.methods.records`. Imports `api.export`, `api.calls` and below.
"""
