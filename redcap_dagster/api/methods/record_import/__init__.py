"""Record imports: only values that are not stored yet are sent.

`columns` writes values, `choices` and `meanings` decide which codes they are, `target` checks rows,
`comparison` finds the values to send, `preparation` does all that, `batches` sends them, `results`
reads responses.
Used by `api.methods.records`. Imports `api.export`, `api.calls` and below.
"""
