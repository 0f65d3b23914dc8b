"""What the documentation site generates from the code while it is built; see mkdocs.yml."""
