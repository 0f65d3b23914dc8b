"""The command redcap-sandbox, with and without its extra."""

import csv
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests
from click.testing import CliRunner

from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.cli import main
from tests.dictionary import field

PROJECT = """<?xml version="1.0" encoding="UTF-8" ?>
<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:redcap="https://projectredcap.org">
<Study OID="P"><GlobalVariables><StudyName>P</StudyName></GlobalVariables>
<MetaDataVersion OID="M" Name="P" redcap:RecordIdField="id">
<FormDef OID="Form.visit" Name="Visit" Repeating="No" redcap:FormName="visit">
<ItemGroupRef ItemGroupOID="visit.id"/></FormDef>
<ItemGroupDef OID="visit.id" Name="Visit"><ItemRef ItemOID="id"/></ItemGroupDef>
<ItemDef OID="id" Name="id" redcap:Variable="id" redcap:FieldType="text"/>
</MetaDataVersion></Study>
<ClinicalData><SubjectData SubjectKey="canary"><FormData OID="Form.visit" FormOID="Form.visit">
<ItemGroupData><ItemData ItemOID="id" Value="canary"/></ItemGroupData></FormData></SubjectData>
</ClinicalData></ODM>"""

SERVE = [sys.executable, "-c", "from redcap_dagster.sandbox_command import main; main()", "serve"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve(number: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "project.xml"
    file.write_text(PROJECT)
    with subprocess.Popen(
        [*SERVE, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url, token, pages = (process.stdout.readline().strip().partition("=") for _ in range(3))
        names = ("REDCAP_API_URL", "REDCAP_API_TOKEN", "REDCAP_URL")
        assert (url[0], token[0], pages[0]) == names
        assert "Projects of the user sandbox" in requests.get(pages[2], timeout=120).text
        asked = {"token": token[2], "content": "record", "format": "csv"}
        assert requests.post(url[2], asked, timeout=120).text == "id,visit_complete\ncanary,0\n"
        process.send_signal(number)
        rest, log = process.communicate(timeout=120)
    assert (process.returncode, rest) == (0, "")
    assert "content=record status=200" in log
    assert "canary" not in log
    assert token[2] not in log


def test_serve_a_version_in_a_time_zone(tmp_path: Path) -> None:
    file = tmp_path / "project.xml"
    file.write_text(PROJECT)
    options = ["--version", "11.4.4", "--time-zone", "Pacific/Kiritimati", "--host", "localhost"]
    with subprocess.Popen(
        [*SERVE, str(file), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url, token = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
        assert url.startswith("http://localhost:")
        before = datetime.now(ZoneInfo("Pacific/Kiritimati"))
        asked = {"token": token, "format": "json"}
        assert requests.post(url, asked | {"content": "version"}, timeout=120).text == "11.4.4"
        (entry,) = requests.post(url, asked | {"content": "log"}, timeout=120).json()
        process.terminate()
        process.communicate(timeout=120)
    seen = datetime.fromisoformat(entry["timestamp"]).replace(tzinfo=before.tzinfo)
    assert timedelta(minutes=-2) < seen - before < timedelta(minutes=2)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--version", "12", "three numbers"),
        ("--time-zone", "../Nowhere", "not a time zone"),
        ("--errors", "many", "give a share such as 0.02"),
        ("--errors", "0.1", "--records"),
        ("--event", "baseline", "for a data dictionary only"),
    ],
)
def test_serve_names_an_invalid_option(
    tmp_path: Path, option: str, value: str, message: str
) -> None:
    file = tmp_path / "project.xml"
    file.write_text(PROJECT)
    done = CliRunner().invoke(main, ["serve", str(file), option, value])
    assert (done.exit_code != 0, message in done.output) == (True, True)


def test_serve_names_an_invalid_file(tmp_path: Path) -> None:
    file = tmp_path / "project.xml"
    file.write_text("<a/>")
    done = subprocess.run([*SERVE, str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: project.xml: not a REDCap project XML")


def test_serve_names_a_port_that_is_not_available(tmp_path: Path) -> None:
    import socket

    file = tmp_path / "project.xml"
    file.write_text(PROJECT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*SERVE, str(file), "--port", port], capture_output=True, text=True, timeout=120
        )
    assert (done.returncode, done.stderr) == (
        1,
        (
            f"Error: Port {port} of 127.0.0.1 is not available. "
            "Omit --port and --host, or give others.\n"
        ),
    )


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_extra_is_named(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from redcap_dagster.sandbox import Sandbox"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stderr.rstrip().endswith("pip install 'redcap-dagster[sandbox]'")
    assert missing in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_the_command_without_the_extra_says_so(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; "
        "from redcap_dagster.sandbox_command import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: The sandbox needs {missing!r}, which is not installed: "
        "pip install 'redcap-dagster[sandbox]'\n"
    )


def test_clone_and_serve_made_up_records(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The structure is copied without a request for records; made-up ones take their place."""
    token = sandbox.add_project(
        exports={"metadata": [field("id"), field("age", validation="integer")]},
        records=[{"id": "canary", "age": "5", "redcap_data_access_group": "vienna"}],
    )
    before = len(sandbox.requests)
    monkeypatch.setenv("THE_TOKEN", token)
    out = tmp_path / "trial.json"
    clone = ["clone", "--url", sandbox.url, "--token-env", "THE_TOKEN", "--out", str(out)]
    result = CliRunner().invoke(main, clone)
    assert result.exit_code == 0, result.output
    requested = {request.content for request in sandbox.requests[before:]}
    assert "metadata" in requested
    assert requested.isdisjoint({"record", "report"})
    assert "canary" not in out.read_text()
    assert token not in out.read_text() + result.output
    again = CliRunner().invoke(main, clone)
    assert (again.exit_code, "exists" in again.output) == (1, True)

    planted = tmp_path / "planted.csv"
    made_up = ["--records", "7", "--errors", "C=0.1", "--planted-errors", str(planted)]
    with subprocess.Popen(
        [*SERVE, str(out), *made_up], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url, served = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
        asked = {"token": served, "content": "record", "format": "json", "type": "flat"}
        rows = requests.post(url, asked | {"exportDataAccessGroups": "true"}, timeout=120).json()
        process.terminate()
        process.communicate(timeout=120)
    assert [row["id"] for row in rows] == list("1234567")
    (error,) = csv.DictReader(planted.read_text().splitlines())
    assert (error["kind"], error["planted"], error["field"]) == ("C", "1", "age")
    assert not rows[int(error["id"]) - 1]["age"].isdecimal()
    assert {row["redcap_data_access_group"] for row in rows} - {"", "site_a", "site_b"} == {
        "site_c"
    }


def test_clone_asks_for_the_token(sandbox: Sandbox, tmp_path: Path) -> None:
    out = tmp_path / "trial.json"
    clone = ["clone", "--url", sandbox.url, "--token-env", "NOT_SET_HERE", "--out", str(out)]
    result = CliRunner().invoke(main, clone, input="0123456789ABCDEF0123456789ABCDEF\n")
    assert result.exit_code == 1
    assert "token" in result.output
    assert "0123456789" not in result.output
    assert not out.exists()
