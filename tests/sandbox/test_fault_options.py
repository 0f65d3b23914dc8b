"""Faults of the command line."""

import signal
import subprocess
from pathlib import Path

import pytest
import requests

from redcap_dagster.sandbox import faults
from redcap_dagster.sandbox.fault_options import KINDS, read_fault
from redcap_dagster.sandbox.http.fault import Fault
from tests.sandbox.test_cli import PROJECT, SERVE


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("status status=503 body='<p class=\"x\">a b</p>'",
         faults.Status(503, '<p class="x">a b</p>')),
        ("redirect location=https://elsewhere.example/?a=b status=307",
         faults.Redirect("https://elsewhere.example/?a=b", 307)),
        ("firewall records=847", faults.Firewall(847)),
        ("ban", faults.Ban(600)),
        ("memory-limit cells=1000", faults.MemoryLimit(1000)),
        ("dropped-records count=3", faults.DroppedRecords(3)),
        ("delimiter", faults.Delimiter(";")),
        ("latin1", faults.Latin1()),
        ("cut share=0.25 end=close", faults.Cut(0.25, "close")),
        ("reset", faults.Reset()),
        ("slow-first-byte seconds=0.5", faults.SlowFirstByte(0.5)),
        ("slow-trickle pause=0.5 piece=10", faults.SlowTrickle(0.5, 10)),
        ("cost per_record=0.1 at_most=2", faults.Cost(0.1, 0, 2)),
        ("web-page", faults.WEB_PAGE),
        ("out-of-memory", faults.OUT_OF_MEMORY),
        ("no-database", faults.NO_DATABASE),
        ("empty", faults.EMPTY),
    ],
)  # fmt: skip
def test_each_kind_can_be_named(text: str, fault: Fault) -> None:
    assert read_fault(text).fault == fault
    assert text.partition(" ")[0] in KINDS


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no fault of this kind"),
        ("elephant", "no fault of this kind"),
        ("empty status=1", "empty takes no parameters but content, after, times"),
        ("status", "status: Field required"),
        ("status status=x", "status: "),
        ("cut end=never", "end: "),
        ("cut place=1", "place: not a parameter of this fault, which takes share, end"),
        ("ban per_minute", "NAME=VALUE"),
        ("ban times=x", "times: "),
        ("rights elephant=1", "no rights of these names: elephant"),
        ("rights api_export=no", "api_export"),
        ("status 'body", "quotation"),
    ],
)
def test_unknown_faults_and_parameters_are_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_fault(text)


def test_serve_with_faults(tmp_path: Path) -> None:
    file = tmp_path / "project.xml"
    file.write_text(PROJECT)
    command = [*SERVE, str(file)]
    command += ["--fault", "status status=503 body='not now' content=record times=1"]
    command += ["--fault", "rights api_export=0 content=record after=2 times=1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url, token = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
        asked = {"token": token, "content": "record", "format": "csv"}
        answers = [requests.post(url, asked, timeout=120) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=120)
    assert [answer.status_code for answer in answers] == [503, 200, 403]
    assert answers[0].text == "not now"
    assert "content=record status=503 by a fault" in log
    assert token not in log


@pytest.mark.parametrize("fault", ["elephant", "empty content=elephant"])
def test_serve_names_an_invalid_fault(fault: str, tmp_path: Path) -> None:
    file = tmp_path / "project.xml"
    file.write_text(PROJECT)
    done = subprocess.run(
        [*SERVE, str(file), "--fault", fault], capture_output=True, text=True, timeout=120
    )
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr
