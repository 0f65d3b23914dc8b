"""Serve the Dagster UI until Ctrl-C: ``python -m example_project.ui``."""

import socket
import sys
import time
from pathlib import Path

from example_project.local import DAGSTER_HOME, fetch_structure, redcap, running, tail

HOST = "127.0.0.1"
LOG = DAGSTER_HOME / "ui.log"


def main(xml: Path | None = None) -> None:
    """Serve the UI, and a sandbox unless the environment names a REDCap.

    Args:
        xml: Project XML that the sandbox gets instead of the studies. Defaults to None.
    """
    port = _free_port(preferred=3000)
    with redcap(xml) as source:
        print("Dagster is starting ...", flush=True)
        fetch_structure()
        with running("dg", "dev", "--host", HOST, "--port", str(port), log=LOG) as process:
            while not _answers(port):
                if process.poll() is not None:
                    sys.exit(f"{tail(LOG)}\n\nDagster did not start; all that it said is in {LOG}")
                time.sleep(0.3)
            print(f"\nDagster UI    http://{HOST}:{port}/assets\nREDCap API    {source.url}")
            if source.pages:  # to which assets and checks link
                print(f"REDCap pages  {source.pages}")
            stopped = "Dagster and the sandbox" if source.pages else "Dagster"
            print(f"\nCtrl-C stops {stopped}. The log of Dagster is {LOG}", flush=True)
            process.wait()


def _free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise OSError(f"No port is free on {HOST}.")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:2]))
    except KeyboardInterrupt:
        print("\nStopped.")
