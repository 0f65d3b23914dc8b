"""Every snippet of every method, executed: all languages get what the client returns."""

import io
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from redcap_dagster.api import RecordImport, REDCapClient, REDCapFile
from redcap_dagster.api.snippets import METHODS, Language, Value, find_method, snippet
from redcap_dagster.sandbox import Sandbox
from redcap_dagster.sandbox.people import roles
from tests.dictionary import VISIT_THEN_DRUG, field

CREATION = "Create A New Project"
TOKEN = "C0FFEE00C0FFEE00C0FFEE00C0FFEE00"
SUPER_TOKEN = TOKEN * 2
FILE = 'scan "1", x;y.txt'
EXPORTS: dict[str, Any] = {
    "metadata": [
        field("record_id", label="Record ID"),
        field("age", label="Age", validation="integer"),
        field("race", type="checkbox", choices="1, A | 2, B"),
        field("treatment", type="radio", choices="1, Drug | 2, Placebo"),
        field("scan", type="file"),
        field("remark"),
        field("dose", "drug", label="Dose"),
    ],
    **VISIT_THEN_DRUG,
}
RECORDS: list[dict[str, object]] = [
    {
        "record_id": "1",
        "redcap_event_name": "first_arm_1",
        "redcap_data_access_group": "north",
        "visit_timestamp": "2024-01-31 10:20:30",
        "age": "040",
        "remark": "NA",
        "race___1": "1",
        "visit_complete": "2",
    },
    {"record_id": "2", "redcap_event_name": "first_arm_1", "age": "5", "visit_complete": "0"},
    {"record_id": "3", "redcap_event_name": "first_arm_1", "age": "50", "visit_complete": "0"},
]

Step = tuple[str, Mapping[str, Value]]

SURVEY: dict[str, Value] = {"record": "1", "instrument": "visit", "event": "first_arm_1"}
PLACE: dict[str, Value] = {"record": "1", "field": "scan", "event": "first_arm_1"}
JSON: dict[str, Value] = {"format": "json"}


def data(*rows: Mapping[str, Any]) -> dict[str, Value]:
    return {"format": "json", "data": json.dumps(rows)}


STEPS: Sequence[Step] = [
    ("Export REDCap Version", {}),
    ("Export Project Information", JSON),
    ("Export Metadata (Data Dictionary)", {"format": "json", "forms": ["drug"], "fields": ["age"]}),
    ("Export Metadata (Data Dictionary)", JSON),
    ("Export Instruments (Data Entry Forms)", JSON),
    ("Export List of Export Field Names", {"format": "json", "field": "race"}),
    ("Export Arms", {"format": "json", "arms": ["1"]}),
    ("Export Events", JSON),
    ("Export Instrument-Event Mappings", JSON),
    ("Export Repeating Instruments and Events", JSON),
    ("Export Records", {}),
    (
        "Export Records",
        {
            "records": ["1", "2"],
            "fields": ["record_id", "age"],
            "events": ["first_arm_1"],
            "filterLogic": '[age] <> "" and [age] < 45',
            "dateRangeBegin": "2020-01-01 00:00:00",
            "exportDataAccessGroups": True,
            "rawOrLabel": "label",
            "csvDelimiter": "tab",
        },
    ),
    ("Export Records", {"type": "eav", "fields": ["record_id", "age", "race"]}),
    ("Export Reports", {"report_id": "1", "csvDelimiter": ";"}),
    ("Export Survey Link", SURVEY),
    ("Export Survey Queue Link", {"record": "1"}),
    ("Export Survey Return Code", SURVEY),
    ("Export Survey Access Code", SURVEY),
    ("Export Survey Participants", {**JSON, "instrument": "visit", "event": "first_arm_1"}),
    ("Export PDF File of Instruments", {"instrument": "visit", "compactDisplay": True}),
    ("Export Project XML", {"returnMetadataOnly": True}),
    ("Generate Next Record Name", {}),
    ("Randomize Record", {"record": "2", "randomization_id": "1", "returnAlt": True}),
    ("Import File", {**PLACE, "file": FILE}),
    ("Export File", PLACE),
    ("Delete File", PLACE),
    ("Create Folder in File Repository", {"name": 'Consent, "signed" $1'}),
    ("Import File into File Repository", {"folder_id": "1", "file": FILE}),
    ("Export List of Files/Folders from File Repository", {"folder_id": "1"}),
    ("Export File from File Repository", {"doc_id": "2"}),
    ("Delete File from File Repository", {"doc_id": "2"}),
    (
        "Import Records",
        {
            "data": 'record_id;redcap_event_name;age\n"4";first_arm_1;60\n',
            "csvDelimiter": ";",
            "returnContent": "ids",
            "overwriteBehavior": "overwrite",
        },
    ),
    ("Rename Record", {"record": "4", "new_record_name": "4 'b' \\"}),
    ("Delete Records", {"records": ["4 'b' \\", "3"], "delete_logging": True}),
    ("Export Logging", {**JSON, "logtype": "record_edit", "beginTime": "2020-01-01 00:00"}),
    ("Export DAGs", JSON),
    ("Import DAGs", data({"data_access_group_name": "South", "unique_group_name": ""})),
    ("Import Users", data({"username": "ann", "forms": {"visit": 1}})),
    ("Export Users", JSON),
    ("Import User-DAG Assignments", data({"username": "ann", "redcap_data_access_group": "north"})),
    ("Export User-DAG Assignments", JSON),
    ("Import User Roles", {"data": "unique_role_name,role_label\nU-NURSE,Head nurse\n"}),
    ("Export User Roles", JSON),
    ("Import User-Role Assignments", data({"username": "ann", "unique_role_name": "U-NURSE"})),
    ("Export User-Role Assignments", JSON),
    ("Delete User Roles", {"roles": ["U-NURSE"]}),
    ("Delete Users", {"users": ["ann"]}),
    ("Delete DAGs", {"dags": ["south"]}),
    ("Switch DAG", {"dag": "north"}),
    ("Import Arms", {"data": "arm_num,name\n2,Two\n"}),
    ("Import Events", data({"event_name": "Last", "arm_num": 2})),
    (
        "Import Instrument-Event Mappings",
        data(
            {"arm_num": 1, "unique_event_name": "first_arm_1", "form": "visit"},
            {"arm_num": 2, "unique_event_name": "last_arm_2", "form": "visit"},
        ),
    ),
    (
        "Import Repeating Instruments and Events",
        data({"event_name": "first_arm_1", "form_name": "visit"}),
    ),
    ("Delete Events", {"events": ["last_arm_2"]}),
    ("Delete Arms", {"arms": ["2"]}),
    ("Import Metadata (Data Dictionary)", data(*EXPORTS["metadata"][:4])),
    ("Import Project Information", data({"project_title": 'It\'s "new"'})),
    ("Create A New Project", data({"project_title": "New", "purpose": 0})),
]

ALLOCATIONS = [{"treatment": "2", "redcap_randomization_number": "R-1"}]
NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


# -- one sandbox per language ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[dict[Language, Sandbox]]:
    """Sandboxes that differ in nothing but their ports."""
    with ExitStack() as stack:
        yield {
            language: stack.enter_context(make_sandbox())
            for language in ("client", "requests", "curl", "httr")
        }


@contextmanager
def make_sandbox() -> Iterator[Sandbox]:
    with Sandbox(version="15.5.0", clock=lambda: NOW) as sandbox:
        sandbox.add_project(exports=EXPORTS, records=RECORDS, token=TOKEN)
        sandbox._get_store().super_token = SUPER_TOKEN  # of which survey codes are made
        with pytest.MonkeyPatch.context() as patch:  # REDCap draws the name of a new role
            patch.setattr(roles, "_make_role_name", lambda: "U-NURSE")
            REDCapClient(sandbox.url, TOKEN).roles.import_("unique_role_name,role_label\n,Nurse\n")
        sandbox.add_report(TOKEN, ["record_id", "age"])
        sandbox.add_randomization(TOKEN, "treatment", ALLOCATIONS, "first_arm_1")
        yield sandbox


@dataclass(frozen=True)
class Snippets:
    """The snippets of all steps in a language, each with a folder of its own."""

    sandbox: Sandbox
    language: Language
    root: Path

    def write(self) -> list[Path]:
        """Write each snippet and the file that it may send; return the snippets' paths."""
        paths = []
        for number, (title, values) in enumerate(STEPS):
            folder = self.root / f"{number:03}"
            folder.mkdir(parents=True)
            (folder / FILE).write_bytes(b"scanned \xe4")
            code = snippet(
                find_method(title),
                values,
                self.language,
                url=self.sandbox.url,
                token_variable="SUPER_TOKEN" if title == CREATION else "REDCAP_API_TOKEN",
            )
            assert code is not None, title
            paths.append(folder / "snippet")
            paths[-1].write_text(code)
        return paths

    @property
    def environment(self) -> dict[str, str]:
        own = {"REDCAP_API_TOKEN": TOKEN, "SUPER_TOKEN": SUPER_TOKEN}
        return {**os.environ, **own, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    @property
    def host(self) -> str:
        """The host of the sandbox, which no other one has."""
        return urlsplit(self.sandbox.url).netloc

    def run(self, *command: str, script: str) -> None:
        done = subprocess.run(
            command,
            input=script,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.root,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def read(self) -> list[bytes]:
        """Return what each snippet received, as if all sandboxes were at one port."""
        received = []
        for number, (title, _) in enumerate(STEPS):
            name = find_method(title).saved_as or "result"
            body = (self.root / f"{number:03}" / name).read_bytes()
            received.append(body.replace(self.host.encode(), b"HOST"))
        return received


@contextmanager
def running_python(snippets: Snippets) -> Iterator[Callable[[Path], dict[str, Any]]]:
    """Yield a function that executes a snippet in its folder and returns its names."""

    def execute(path: Path) -> dict[str, Any]:
        names: dict[str, Any] = {}
        with chdir(path.parent), redirect_stdout(io.StringIO()):
            exec(compile(path.read_text(), path, "exec"), names)  # noqa: S102
        return names

    with pytest.MonkeyPatch.context() as patch:
        for name, value in snippets.environment.items():
            patch.setenv(name, value)
        yield execute


@pytest.fixture(scope="module")
def returned(
    sandboxes: dict[Language, Sandbox], tmp_path_factory: pytest.TempPathFactory
) -> list[Any]:
    """What the client returns at each step."""
    snippets = Snippets(sandboxes["client"], "client", tmp_path_factory.mktemp("client"))
    with running_python(snippets) as execute:
        results = [execute(path)["result"] for path in snippets.write()]
    return [
        json.loads(json.dumps(result).replace(snippets.host, "HOST"))
        if isinstance(result, str | list)
        else result
        for result in results
    ]


@pytest.fixture(scope="module")
def executed(
    sandboxes: dict[Language, Sandbox], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[bytes], list[pd.DataFrame | None]]:
    """What REDCap responds at each step, by `requests`, and the records that snippets read."""
    snippets = Snippets(sandboxes["requests"], "requests", tmp_path_factory.mktemp("requests"))
    records: list[pd.DataFrame | None] = []
    with running_python(snippets) as execute:
        for path in snippets.write():
            names = execute(path)
            assert names["response"].status_code == 200, (path, names["response"].text)
            (path.parent / "result").write_bytes(names["response"].content)
            records.append(names.get("records"))
    return snippets.read(), records


@pytest.fixture(scope="module")
def received(executed: tuple[list[bytes], list[pd.DataFrame | None]]) -> list[bytes]:
    return executed[0]


# -- tests ----------------------------------------------------------------------------------------


def test_every_method_is_a_step() -> None:
    assert {title for title, _ in STEPS} == {method.title for method in METHODS}


def test_requests_returns_what_the_client_returns(
    returned: list[Any], executed: tuple[list[bytes], list[pd.DataFrame | None]]
) -> None:
    for (title, _), result, body, records in zip(STEPS, returned, *executed, strict=True):
        assert (records is not None) == (title in ("Export Records", "Export Reports"))
        match result:
            case pd.DataFrame():
                assert records is not None
                assert_frame_equal(records, result, check_dtype=False, obj=title)
            case RecordImport():
                assert json.loads(body) == list(result.records)
            case REDCapFile():
                assert body == result.content
            case dict() if title == "Randomize Record":
                assert {name: str(value) for name, value in json.loads(body).items()} == result
            case list() | dict():
                assert json.loads(body) == result, title
            case str() if title == CREATION:
                assert len(body) == len(result) == 32
            case None:
                assert body in (b"", b"1"), title
            case int() if title.startswith("Create Folder"):
                assert json.loads(body) == [{"folder_id": result}]
            case _:
                assert body.decode().strip() == str(result).strip(), title


def test_curl_receives_the_same(
    sandboxes: dict[Language, Sandbox], received: list[bytes], tmp_path: Path
) -> None:
    snippets = Snippets(sandboxes["curl"], "curl", tmp_path)
    paths = snippets.write()
    lines = [f"cd {shlex.quote(str(path.parent))} && . ./snippet > result" for path in paths]
    snippets.run("bash", "-e", script="\n".join(lines))
    compare(snippets, received)


def test_curl_saves_no_error_as_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
    code = snippet(find_method("Export File"), PLACE, "curl", url=sandbox.url)
    environment = {**os.environ, "REDCAP_API_TOKEN": "0" * 32, "no_proxy": "127.0.0.1"}

    done = subprocess.run(["bash", "-c", str(code)], cwd=tmp_path, env=environment, timeout=120)

    assert done.returncode == 22  # curl's number for a status that is an error
    assert not [*tmp_path.iterdir()]


def test_r_receives_the_same(
    sandboxes: dict[Language, Sandbox], received: list[bytes], tmp_path: Path
) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("needs Rscript")
    snippets = Snippets(sandboxes["httr"], "httr", tmp_path)
    snippets.write()
    snippets.run("Rscript", "--vanilla", "-", script=R_DRIVER)
    compare(snippets, received)


R_DRIVER = """
root <- getwd()
for (folder in list.files(root, full.names = TRUE)) {
  setwd(folder)
  names <- new.env()
  sink("printed")
  source("snippet", local = names)
  sink()
  if (exists("result", names)) writeBin(charToRaw(names$result), "result")
  remark <- if (exists("records", names)) names$records$remark
  if (!is.null(remark)) stopifnot(remark[1] == "NA")
}
"""


def compare(snippets: Snippets, received: list[bytes]) -> None:
    for (title, _), own, body in zip(STEPS, snippets.read(), received, strict=True):
        if title != CREATION:
            assert own == body, title
