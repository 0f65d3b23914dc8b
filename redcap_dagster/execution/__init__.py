"""What runs: ops, then each instrument, judging, the shrink guard and checks over buckets.

Imports `specs`, `catalog` and below.
"""
