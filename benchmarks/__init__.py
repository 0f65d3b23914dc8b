"""Benchmarks of time and memory, which measure what the documentation claims."""
