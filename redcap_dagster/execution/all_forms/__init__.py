"""The tables over all instruments of a run: queries and status, after the last instrument.

Imports `judging` and below.
"""
