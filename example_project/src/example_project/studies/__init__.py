"""Made-up studies for the sandbox; delete this folder when you use your own."""
