"""``redcap-sandbox``: the sandbox from a shell."""

import logging
import signal
import sys
import threading
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from redcap_dagster.sandbox.fault_options import KINDS, PlannedFault, read_fault
from redcap_dagster.sandbox.server import Sandbox


def _read_faults(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> tuple[PlannedFault, ...]:
    try:
        return tuple(map(read_fault, texts))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _read_zone(_: click.Context, __: click.Parameter, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise click.BadParameter("not a time zone, such as Europe/Vienna.") from None


@click.group()
def main() -> None:
    """A REDCap on this machine, for testing pipelines."""


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any free port.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on; any but a loopback one opens it to others, without TLS.",
)
@click.option("--version", default="14.7.3", show_default=True, help="The version of REDCap.")
@click.option(
    "--time-zone",
    default="UTC",
    show_default=True,
    callback=_read_zone,
    help="The server's, in which REDCap tells and takes all times.",
)
@click.option(
    "--fault",
    "faults",
    callback=_read_faults,
    multiple=True,
    metavar="'KIND [NAME=VALUE ...]'",
    help="Let something go wrong; may be given several times. For instance 'status status=503 "
    'body="<html>" content=record after=1 times=2\'. Content, after and times say when, for every '
    f"kind. The kinds: {', '.join(KINDS)}.",
)
def serve(
    file: Path,
    port: int,
    host: str,
    version: str,
    time_zone: ZoneInfo,
    faults: tuple[PlannedFault, ...],
) -> None:
    """Serve the project XML FILE until interrupted.

    The first two lines give the URL and the token as environment variables. Requests are logged
    to the standard error, without what they hold.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("redcap_dagster.sandbox").setLevel(logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = Sandbox(version, port, time_zone, host=host)
        sandbox.start()
    except OSError:
        raise click.ClickException(
            f"Port {port} of {host} cannot be had; leave --port and --host out."
        ) from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    try:
        token = sandbox.add_project(file)
        for fault in faults:
            fault.inject(sandbox, token)
        click.echo(f"REDCAP_API_URL={sandbox.url}")
        click.echo(f"REDCAP_API_TOKEN={token}")
        stop.wait()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    finally:
        sandbox.stop()
