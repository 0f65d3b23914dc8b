"""A REDCap that answers at once, as it has the lines of its answers ready.

It runs in a process of its own, and knows the parameters that exports use, not their limits: no
user, no rights, no logic. `redcap_dagster.sandbox` is the REDCap that is meant to be right, and
would take longer than what is measured here.
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

from benchmarks.study import csv_lines, dictionary, make_records, project_of

TOKEN = "0" * 32

_MINUTE = "%Y-%m-%d %H:%M"
_Body = bytes | memoryview


@dataclass(frozen=True)
class Costs:
    """What an answer costs such a server, in seconds: it comes so much later.

    Attributes:
        per_record: For each record in it.
        per_cell: For each cell.
    """

    per_record: float = 0.0
    per_cell: float = 0.0


@contextmanager
def serving(records: int, fields: int, costs: Costs = Costs()) -> Iterator[str]:
    """Serve a study from a process of its own, and give the URL of its API."""
    numbers = map(str, (records, fields, costs.per_record, costs.per_cell))
    command = [sys.executable, "-m", "benchmarks.server", *numbers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()  # Whoever started us may have let all ignore a gentler signal.


class _Lines:
    """The rows of some columns, as lines of CSV one after the other."""

    def __init__(self, records: Sequence[pa.Table]) -> None:
        self.names = tuple(records[0].column_names)
        lines = pa.concat_arrays([csv_lines(piece) for piece in records])
        _, offsets, text = lines.buffers()
        self.offsets = memoryview(offsets).cast("i")
        self.text = memoryview(text)

    @property
    def header(self) -> bytes:
        return ",".join(self.names).encode() + b"\n"

    def of(self, rows: Sequence[int]) -> _Body:
        """Give some lines, in their order; those of a row of records are there as they are."""
        if not rows:
            return b""
        first, last = rows[0], rows[-1]
        if last - first + 1 == len(rows):
            return self.text[self.offsets[first] : self.offsets[last + 1]]
        return b"".join(self.text[self.offsets[row] : self.offsets[row + 1]] for row in rows)


@dataclass
class _Study:
    """The study, and what was asked of it."""

    records: int
    fields: int
    costs: Costs
    requests: int = 0
    sent: int = 0
    changed: dict[str, datetime] = field(default_factory=dict)
    log: list[dict[str, str]] = field(default_factory=list)
    read: dict[str, Mapping[str, str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.project = project_of(self.fields)
        self.pieces = list(make_records(self.fields, self.records))
        self.ids = [str(number) for number in range(1, self.records + 1)]
        self.position = {record: row for row, record in enumerate(self.ids)}
        names = self.pieces[0].column_names
        self.lines = {tuple(some): self._lines(some) for some in (names, names[:1])}

    def _lines(self, names: Sequence[str]) -> _Lines:
        return _Lines([piece.select(names) for piece in self.pieces])

    def answer(self, text: str) -> tuple[int, str, Sequence[_Body]]:
        """Give status, format and body."""
        if text not in self.read:
            self.read[text] = dict(parse_qsl(text))
        asked = self.read[text]
        content = asked["content"]
        if content == "version":
            return 200, "html", [b"14.7.3"]
        if content == "record":
            return self._records(asked)
        if content == "log":
            return _json(self._log(asked))
        if content not in self.structure:
            return 400, "json", [b'{"error":"You cannot export this of classic projects"}']
        if content == "project":
            self._note("Manage/Design ", "Export project information (API)")
        return _json(self.structure[content])

    def _records(self, asked: Mapping[str, str]) -> tuple[int, str, Sequence[_Body]]:
        fields, forms = _listed(asked, "fields"), _listed(asked, "forms")
        names = tuple(self._columns(fields, forms))
        if names not in self.lines:
            self.lines[names] = self._lines(names)
        ids, begin = _listed(asked, "records"), asked.get("dateRangeBegin")
        rows: Sequence[int] = range(self.records)
        if ids:
            rows = sorted(self.position[record] for record in ids if record in self.position)
        if begin is not None:
            since = datetime.fromisoformat(begin).replace(tzinfo=UTC)
            of_late = {self.position[one] for one, when in self.changed.items() if when >= since}
            rows = [row for row in rows if row in of_late]
        time.sleep(len(rows) * (self.costs.per_record + len(names) * self.costs.per_cell))
        self._note("Data export (API)", "")
        if asked.get("format") == "json":
            return _json([{"record_id": self.ids[row]} for row in rows])
        lines = self.lines[names]
        return 200, "csv", [lines.header, lines.of(rows)]

    def _columns(self, fields: Sequence[str], forms: Sequence[str]) -> list[str]:
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
        """Let a value of some records have been changed a while ago, as the log tells it."""
        self.changed.update(dict.fromkeys(records, datetime.now(UTC) - ago))
        for record in records:
            self._note(f"Update record {record}", "field_0 = 'seen at home'", record, ago)
        self.log.sort(key=itemgetter("timestamp"), reverse=True)

    def _note(
        self, action: str, details: str, record: str = "", ago: timedelta = timedelta()
    ) -> None:
        minute = (datetime.now(UTC) - ago).strftime(_MINUTE)
        entry = {"timestamp": minute, "username": "bench", "action": action, "details": details}
        self.log.insert(0, entry | {"record": record})

    def _log(self, asked: Mapping[str, str]) -> list[dict[str, str]]:
        kind = {"export": "Data export", "manage": "Manage"}.get(asked.get("logtype", ""), "")
        first, last = asked.get("beginTime", ""), asked.get("endTime", "9")
        return [
            entry
            for entry in self.log
            if entry["action"].startswith(kind) and first <= entry["timestamp"] <= last
        ]

    @cached_property
    def structure(self) -> Mapping[str, Any]:
        """What REDCap exports of the structure, by content."""
        forms = [form.instrument_name for form in self.project.instruments]
        return {
            "project": {
                "project_id": 1,
                "project_title": "A made-up study",
                "is_longitudinal": 0,
                "has_repeating_instruments_or_events": 0,
            },
            "metadata": dictionary(self.fields),
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


def _listed(asked: Mapping[str, str], name: str) -> list[str]:
    return [value for key, value in asked.items() if key.startswith(f"{name}[")]


def _json(content: Any) -> tuple[int, str, Sequence[_Body]]:
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
            status, kind, body = study.answer(text)
            with study.lock:
                study.requests += 1
                study.sent += sum(map(len, body))
            self._send(status, kind, body)

        def do_GET(self) -> None:
            """Tell what was asked since the last time."""
            with study.lock:
                told = {"requests": study.requests, "bytes": study.sent}
                study.requests = study.sent = 0
            self._send(*_json(told))

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
    _records, _fields, *_costs = sys.argv[1:]
    _serve(_Study(int(_records), int(_fields), Costs(*map(float, _costs))))
