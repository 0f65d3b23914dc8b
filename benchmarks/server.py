"""A REDCap that responds at once, because it prepares the lines of its responses.

It runs in a process of its own and only has what the benchmarks use: no users, no rights, no logic.
`redcap_dagster.sandbox` imitates REDCap completely, but would take longer than what is measured.
"""

# ruff: noqa: T201
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl

import pyarrow as pa

from benchmarks.study import make_dictionary, make_project, make_records, write_csv_lines

TOKEN = "0" * 32

_MINUTE = "%Y-%m-%d %H:%M"
_Body = bytes | memoryview


@dataclass(frozen=True)
class Costs:
    """The seconds by which a response is delayed.

    Attributes:
        per_record: Seconds for each record. Defaults to 0.
        per_cell: Seconds for each cell. Defaults to 0.
    """

    per_record: float = 0.0
    per_cell: float = 0.0


@contextmanager
def serve_study(
    records: int, fields: int, costs: Costs = Costs(), study: str = "mixed"
) -> Iterator[str]:
    """Serve a study from another process, and yield the URL of its API."""
    what = map(str, (study, records, fields, costs.per_record, costs.per_cell))
    command = [sys.executable, "-m", "benchmarks.server", *what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()  # The process may inherit that it ignores other signals.


class _CSVLines:
    """The rows of some columns as lines of CSV."""

    def __init__(self, records: Sequence[pa.Table]) -> None:
        self.names = tuple(records[0].column_names)
        lines = pa.concat_arrays([write_csv_lines(piece) for piece in records])
        _, offsets, text = lines.buffers()
        self.offsets = memoryview(offsets).cast("i")
        self.text = memoryview(text)

    @property
    def header(self) -> bytes:
        return ",".join(self.names).encode() + b"\n"

    def take(self, rows: Sequence[int]) -> _Body:
        """Return some lines, in order; consecutive lines are not copied."""
        if not rows:
            return b""
        first, last = rows[0], rows[-1]
        if last - first + 1 == len(rows):
            return self.text[self.offsets[first] : self.offsets[last + 1]]
        return b"".join(self.text[self.offsets[row] : self.offsets[row + 1]] for row in rows)


@dataclass(frozen=True)
class _Query:
    """A request that was read: its parameters, and for records the columns and rows."""

    parameters: Mapping[str, str]
    names: tuple[str, ...] = ()
    rows: Sequence[int] = ()


@dataclass
class _Study:
    """The study, its log, and the requests and bytes so far."""

    study: str
    records: int
    fields: int
    costs: Costs
    requests: int = 0
    sent: int = 0
    changed: dict[str, datetime] = field(default_factory=dict)
    log: list[dict[str, str]] = field(default_factory=list)
    read: dict[str, _Query] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.project = make_project(self.fields, self.study)
        self.pieces = list(make_records(self.fields, self.records, self.study))
        self.ids = [str(number) for number in range(1, self.records + 1)]
        self.position = {record: row for row, record in enumerate(self.ids)}
        names = self.pieces[0].column_names
        self.lines = {tuple(some): self._make_lines(some) for some in (names, names[:1])}

    def _make_lines(self, names: Sequence[str]) -> _CSVLines:
        return _CSVLines([piece.select(names) for piece in self.pieces])

    def respond(self, text: str) -> tuple[int, str, Sequence[_Body]]:
        """Return status, format and body of the response to a form."""
        if text not in self.read:
            self.read[text] = self._read_query(dict(parse_qsl(text)))
        query = self.read[text]
        parameters = query.parameters
        content = parameters["content"]
        if content == "version":
            return 200, "html", [b"14.7.3"]
        if content == "record":
            return self._export_records(query)
        if content == "log":
            entries = self._read_log(parameters)
            self._add_log_entry("Manage/Design ", "Export Logging (API)")
            return _respond_with_json(entries)
        if content not in self.structure:
            return 400, "json", [b'{"error":"You cannot export this of classic projects"}']
        if content == "project":
            self._add_log_entry("Manage/Design ", "Export project information (API)")
        return _respond_with_json(self.structure[content])

    def _read_query(self, parameters: Mapping[str, str]) -> _Query:
        if parameters["content"] != "record":
            return _Query(parameters)
        fields, forms = _read_list(parameters, "fields"), _read_list(parameters, "forms")
        names = tuple(self._select_columns(fields, forms))
        ids = _read_list(parameters, "records")
        named = sorted(self.position[record] for record in ids if record in self.position)
        return _Query(parameters, names, named if ids else range(self.records))

    def _export_records(self, query: _Query) -> tuple[int, str, Sequence[_Body]]:
        names, rows, parameters = query.names, query.rows, query.parameters
        if names not in self.lines:
            self.lines[names] = self._make_lines(names)
        if (begin := parameters.get("dateRangeBegin")) is not None:
            since = datetime.fromisoformat(begin).replace(tzinfo=UTC)
            recent = {self.position[one] for one, when in self.changed.items() if when >= since}
            rows = [row for row in rows if row in recent]
        time.sleep(len(rows) * (self.costs.per_record + len(names) * self.costs.per_cell))
        self._add_log_entry("Data export (API)", "")
        if parameters.get("format") == "json":
            return _respond_with_json([{"record_id": self.ids[row]} for row in rows])
        lines = self.lines[names]
        return 200, "csv", [lines.header, lines.take(rows)]

    def _select_columns(self, fields: Sequence[str], forms: Sequence[str]) -> list[str]:
        exported: list[str] = self.pieces[0].column_names
        if not fields and not forms:
            return exported
        named = {
            column.name
            for form in self.project.instruments
            for column in self.project.columns(form.instrument_name)
            if form.instrument_name in forms or column.field.field_name in fields
        }
        return [name for name in exported if name in named or name in fields]

    def change(self, records: Sequence[str], ago: timedelta) -> None:
        """Log that a value of some records was changed some time ago."""
        self.changed.update(dict.fromkeys(records, datetime.now(UTC) - ago))
        for record in records:
            self._add_log_entry(f"Update record {record}", "field_0 = 'seen at home'", record, ago)
        self.log.sort(key=itemgetter("timestamp"), reverse=True)

    def _add_log_entry(
        self, action: str, details: str, record: str = "", ago: timedelta = timedelta()
    ) -> None:
        minute = (datetime.now(UTC) - ago).strftime(_MINUTE)
        entry = {"timestamp": minute, "username": "bench", "action": action, "details": details}
        self.log.insert(0, entry | {"record": record})

    def _read_log(self, parameters: Mapping[str, str]) -> list[dict[str, str]]:
        kind = {"export": "Data export", "manage": "Manage"}.get(parameters.get("logtype", ""), "")
        first, last = parameters.get("beginTime", ""), parameters.get("endTime", "9")
        return [
            entry
            for entry in self.log
            if entry["action"].startswith(kind) and first <= entry["timestamp"] <= last
        ]

    @cached_property
    def structure(self) -> Mapping[str, Any]:
        """Exports of the structure, by content."""
        forms = [form.instrument_name for form in self.project.instruments]
        return {
            "project": {
                "project_id": 1,
                "project_title": "A synthetic study",
                "is_longitudinal": 0,
                "has_repeating_instruments_or_events": 0,
            },
            "metadata": make_dictionary(self.fields, self.study),
            "instrument": [{"instrument_name": form, "instrument_label": form} for form in forms],
            "exportFieldNames": [
                {
                    "original_field_name": column.field.field_name,
                    "choice_value": column.choice.code if column.choice else "",
                    "export_field_name": column.name,
                }
                for form in forms
                for column in self.project.columns(form)
            ],
        }


def _read_list(parameters: Mapping[str, str], name: str) -> list[str]:
    return [value for key, value in parameters.items() if key.startswith(f"{name}[")]


def _respond_with_json(content: Any) -> tuple[int, str, Sequence[_Body]]:
    return 200, "json", [json.dumps(content).encode()]


def _serve(study: _Study) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path.startswith("/changed/"):
                study.change(text.split(), timedelta(minutes=int(self.path.rpartition("/")[2])))
                self._send(200, "plain", [b""])
                return
            status, kind, body = study.respond(text)
            with study.lock:
                study.requests += 1
                study.sent += sum(map(len, body))
            self._send(status, kind, body)

        def do_GET(self) -> None:
            """Send the requests and bytes since the last time, and reset them."""
            with study.lock:
                counts = {"requests": study.requests, "bytes": study.sent}
                study.requests = study.sent = 0
            self._send(*_respond_with_json(counts))

        def _send(self, status: int, kind: str, body: Sequence[_Body]) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"text/{kind}; charset=utf-8")
            self.send_header("Content-Length", str(sum(map(len, body))))
            self.end_headers()
            for part in body:
                self.wfile.write(part)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}/api/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _study, _export_records, _fields, *_costs = sys.argv[1:]
    _serve(_Study(_study, int(_export_records), int(_fields), Costs(*map(float, _costs))))
