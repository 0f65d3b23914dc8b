"""``redcap-sandbox``: the sandbox from a shell."""

import logging
import signal
import sys
import threading
from pathlib import Path

import click

from redcap_dagster.sandbox.server import Sandbox


@click.group()
def main() -> None:
    """A REDCap on this machine, for testing pipelines."""


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any free port.")
def serve(file: Path, port: int) -> None:
    """Serve the project XML FILE until interrupted.

    The first two lines give the URL and the token as environment variables. Requests are logged
    to the standard error, without what they hold.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("redcap_dagster.sandbox").setLevel(logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sandbox = Sandbox(port=port)
    try:
        sandbox.start()
    except OSError:
        raise click.ClickException(f"Port {port} cannot be had; leave --port out.") from None
    try:
        token = sandbox.add_project(file)
        click.echo(f"REDCAP_API_URL={sandbox.url}")
        click.echo(f"REDCAP_API_TOKEN={token}")
        stop.wait()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    finally:
        sandbox.stop()
