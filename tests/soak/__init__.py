"""Exports while everything goes wrong: each is the truth of one moment, or fails with its error."""
