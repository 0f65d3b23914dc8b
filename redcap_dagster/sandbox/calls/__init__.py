"""What every handler uses: the call and its response, then the required rights, then the log.

Imports `sandbox.store` and `sandbox.protocol`.
"""
