"""Record imports: `target` checks rows, `batches` sends or compares, `results` reads responses.

Used by `api.methods.records`. Imports `api.export`, `api.calls` and below.
"""
