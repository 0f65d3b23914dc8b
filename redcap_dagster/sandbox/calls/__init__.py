"""What each call starts from: the caller's rights, the log, and how a response is made.

Imports `sandbox.store` and below.
"""
