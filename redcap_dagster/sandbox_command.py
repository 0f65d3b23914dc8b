"""The command ``redcap-sandbox``, or one sentence if its extra is not installed."""

import sys


def main() -> None:
    """Run the command; see `redcap_dagster.sandbox.cli`."""
    try:
        from redcap_dagster.sandbox.cli import main as command
    except ModuleNotFoundError as error:
        sys.exit(f"Error: {error}")
    command()
