"""HTTP: web_server and wire (where faults intercept) carry a request to app, form and handlers.

Imports all other folders of the sandbox except `logic`; `faults` and `server` use it.
"""
