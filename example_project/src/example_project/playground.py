"""Serve the pages of a sandbox until Ctrl-C: ``python -m example_project.playground``."""

import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape

from example_project.local import (
    DAGSTER_HOME,
    PLAYGROUND_PORT,
    PROJECT,
    TOKENS,
    add_studies,
    exit_on_signals,
    start_sandbox,
)
from redcap_dagster.api import REDCapClient
from redcap_dagster.sandbox import Sandbox

XML = PROJECT / "cervical.REDCap.xml"
"""The made-up study as REDCap would export it, to create a project of."""


def main() -> None:
    """Serve the two studies, whose pages open in the browser if there is one."""
    exit_on_signals()
    with start_sandbox(PLAYGROUND_PORT) as sandbox:
        studies = add_studies(sandbox)
        client = REDCapClient(sandbox.url, studies[TOKENS["cervical"]])
        XML.write_text(client.projects.export_xml(), encoding="utf-8")
        print(
            f"\nREDCap pages  {sandbox.pages_url}\nREDCap API    {sandbox.url}\n"
            f"Project XML   {XML}\n\nCtrl-C stops it.",
            flush=True,
        )
        with show_pages(sandbox):
            threading.Event().wait()


@contextmanager
def show_pages(sandbox: Sandbox) -> Iterator[None]:
    """Open the pages of a sandbox in the browser, if there is a display for it.

    The browser gets a file that leads to them: other users of this machine see the arguments of its
    process, and are not to see the key.
    """
    if not (sys.platform in ("darwin", "win32") or _has_display()):
        yield
        return
    leading = DAGSTER_HOME / "playground.html"
    leading.unlink(missing_ok=True)
    leading.touch(mode=0o600)
    leading.write_text(
        "<!doctype html><title>REDCap sandbox</title>"
        f'<meta http-equiv="refresh" content="0; url={escape(sandbox.pages_url)}">'
    )
    try:
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(leading.as_uri())
        yield
    finally:
        leading.unlink(missing_ok=True)


def _has_display() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nStopped.")
