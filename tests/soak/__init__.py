"""Exports under random faults: each is a consistent snapshot, says that it is not, or raises."""
