"""HTTP: web_server, then fault_injection, then app with form and handlers.

Imports all other folders of the sandbox except `logic`; `faults` and `server` use it.
"""
