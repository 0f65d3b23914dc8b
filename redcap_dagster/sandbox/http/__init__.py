"""The API over HTTP: wire and exchange carry a request, app routes it to what responds.

Imports every room of the sandbox but `server` and `faults`, which use it.
"""
