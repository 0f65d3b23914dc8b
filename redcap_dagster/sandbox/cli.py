"""The command ``redcap-sandbox``, which serves a sandbox from a shell."""

import csv
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from redcap_dagster.api import REDCapClient, REDCapError, RefusedError
from redcap_dagster.api.snippets import TOKEN_VARIABLE
from redcap_dagster.sandbox.dialects import DIALECTS, Dialect, read_dialect
from redcap_dagster.sandbox.fault_options import KINDS, PlannedFault, read_fault
from redcap_dagster.sandbox.server import Sandbox
from redcap_dagster.sandbox.synthesis import MadeUpStudy, make_up_study
from redcap_dagster.sandbox.synthesis.planted_errors import KINDS as ERROR_KINDS
from redcap_dagster.sandbox.synthesis.planted_errors import write_errors
from redcap_dagster.sandbox.synthesis.structure_files import is_project_xml

logger = logging.getLogger("redcap_dagster.sandbox")


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
        raise click.BadParameter(f"{name!r} is not a time zone, such as Europe/Vienna.") from None


def _read_dialect(_: click.Context, __: click.Parameter, name: str) -> Dialect:
    try:
        return read_dialect(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _read_errors(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> float | dict[str, float]:
    try:
        if len(texts) == 1 and "=" not in texts[0]:
            return float(texts[0])
        return {kind: float(share) for kind, share in (text.split("=") for text in texts)}
    except ValueError:
        raise click.BadParameter("give a share such as 0.02, or kinds such as B=0.02.") from None


@click.group()
def main() -> None:
    """A REDCap on this machine, for testing pipelines."""


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port to listen on. Defaults to 0, which takes any free port.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Host name or IP address to listen on. Any that is not a loopback address opens the "
    "sandbox to the network, without TLS.",
)
@click.option(
    "--share-pages",
    is_flag=True,
    help="Let the pages be opened at addresses that others on the network reach, too.",
)
@click.option(
    "--version", help="REDCap version to report. Defaults to that of the dialect, such as 14.7.3."
)
@click.option(
    "--dialect",
    default="default",
    show_default=True,
    callback=_read_dialect,
    help="How the server differs from others: "
    f"{', '.join(DIALECTS)}; any-SEED with a number, which draws one; or any, which draws the "
    "seed and logs it.",
)
@click.option(
    "--time-zone",
    default="UTC",
    show_default=True,
    callback=_read_zone,
    help="Time zone of the server, in which REDCap sends and reads times.",
)
@click.option(
    "--fault",
    "faults",
    callback=_read_faults,
    multiple=True,
    metavar="'KIND [NAME=VALUE ...]'",
    help="Fault to inject; can be given several times. Example: 'status status=503 "
    'body="<html>" content=record after=1 times=2\'. Every kind takes content (which requests), '
    "after (how many of them pass first) and times (how many it intercepts). "
    f"Kinds: {', '.join(KINDS)}.",
)
@click.option(
    "--records",
    type=click.IntRange(0),
    help="Number of made-up records, which obey the dictionary and replace those of FILE. Defaults "
    "to the records of FILE.",
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="Number from which records are made up: the same number makes the same records.",
)
@click.option(
    "--errors",
    multiple=True,
    callback=_read_errors,
    metavar="SHARE | KIND=SHARE",
    help="Share of the saved forms that get a wrong value, such as 0.02, or the share for one kind "
    f"of error; can be given several times. Kinds: {', '.join(ERROR_KINDS)}. Defaults to 0.",
)
@click.option(
    "--planted-errors",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV file to write: what was made wrong, and what else is wrong because of it.",
)
@click.option(
    "--event",
    "events",
    multiple=True,
    metavar="NAME[:repeating]",
    help="Event of a data dictionary, which does not list events; can be given several times. "
    "Those that its logic names are made anyway.",
)
def serve(
    file: Path,
    port: int,
    host: str,
    share_pages: bool,
    version: str | None,
    dialect: Dialect,
    time_zone: ZoneInfo,
    faults: tuple[PlannedFault, ...],
    records: int | None,
    seed: int,
    errors: float | dict[str, float],
    planted_errors: Path | None,
    events: tuple[str, ...],
) -> None:
    """Serve the project of FILE until interrupted.

    FILE is a project XML, JSON of a structure as "clone" writes it, or a data dictionary as CSV.
    Only a project XML can have records of its own.

    The first two lines of the output are the URL and the token as environment variables. The
    third is the URL of the pages, which opens them in a browser of this machine.
    The dialect and the requests are logged to the standard error, without their values.
    """
    if not records and (errors or planted_errors):
        raise click.UsageError("--errors and --planted-errors are for made-up records: --records.")
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", level=logging.WARNING)
    logger.setLevel(logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        sandbox = Sandbox(
            version, port, time_zone, host=host, dialect=dialect, share_pages=share_pages
        )
        sandbox.start()
    except OSError:
        raise click.ClickException(
            f"Port {port} of {host} is not available. Omit --port and --host, or give others."
        ) from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    try:
        if records is None and not events and is_project_xml(file):
            token = sandbox.add_project(file)
        else:
            study = make_up_study(
                file, records=records or 0, seed=seed, errors=errors, events=events
            )
            _describe(study, planted_errors)
            token = sandbox.add_study(study)
        for fault in faults:
            fault.inject(sandbox, token)
        logger.info("dialect: %s", sandbox.dialect)
        click.echo(f"REDCAP_API_URL={sandbox.url}")
        click.echo(f"REDCAP_API_TOKEN={token}")
        click.echo(f"REDCAP_URL={sandbox.pages_url}")
        stop.wait()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    finally:
        sandbox.stop()


def _describe(study: MadeUpStudy, planted_errors: Path | None) -> None:
    """Log what a study does not have, and write its errors to a file."""
    for name, reason in study.never_asked.items():
        logger.info("required field %s is asked in no record: %s", name, reason)
    for name in study.circular:
        logger.info("the logic of field %s is circular", name)
    if planted_errors is not None:
        try:
            with planted_errors.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(write_errors(study.project, study.errors))
        except OSError as error:
            raise click.ClickException(
                f"{planted_errors} cannot be written: {error.strerror}."
            ) from None


@main.command()
@click.option("--url", required=True, help="URL of the API.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, which must not exist.",
)
@click.option(
    "--token-env",
    default=TOKEN_VARIABLE,
    show_default=True,
    help="Environment variable of the token. If it is not set, the command asks for the token.",
)
def clone(url: str, out: Path, token_env: str) -> None:
    """Write the structure of a project to a file, from which "serve" makes up records.

    No record is requested. The right to API Export is enough.
    """
    token = os.environ.get(token_env) or click.prompt("API token", hide_input=True)
    try:
        client = REDCapClient(url, token)
        project = client.export_structure().project()
        with suppress(RefusedError):  # without the right, as if there were no groups
            project = replace(project, has_access_groups=bool(client.groups.export()))
        with out.open("x", encoding="utf-8") as file:
            file.write(project.to_json())
    except FileExistsError:
        raise click.ClickException(f"{out} exists. Delete it, or give another --out.") from None
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}.") from None
    except (REDCapError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{len(project.fields)} fields of {len(project.instruments)} instruments: {out}")
