"""The made-up studies that the sandbox serves; delete this folder once you have your own."""
