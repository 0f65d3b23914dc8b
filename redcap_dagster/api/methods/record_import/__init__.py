"""Record imports: only values that are not stored yet are sent.

`columns` writes values, `target` checks rows, `comparison` finds the values to send, `batches`
sends them, `results` reads responses.
Used by `api.methods.records`. Imports `api.export`, `api.calls` and below.
"""
