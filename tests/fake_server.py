"""A server on the loopback that answers as it is told, wrongly above all."""

import dataclasses
import json
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests.dictionary import field

TOKEN = "C0FFEE00C0FFEE00C0FFEE00C0FFEE00"
CANARY = "Xanthippe-4711"
"""A record id and a cell value that nothing may show."""

HEADER = "record_id,name,scan,visit_complete"
RECORDS = f'{HEADER}\n{CANARY},"{CANARY} says",,\n2,b,,\n'.encode()
METADATA = [
    field("record_id"),
    field("name"),
    field("scan"),
]
EVENTS = [{"unique_event_name": "e_arm_1"}]


@dataclass(frozen=True)
class Reply:
    """What the server sends: `end` says how it stops."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    end: str = "whole"


def json_reply(content: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(content).encode(), status)


class Server(ThreadingHTTPServer):
    """Answers each content from its own list of replies; the last one stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: dict[str, list[Reply]] = {
            "metadata": [json_reply(METADATA)],
            "project": [json_reply({"is_longitudinal": 1})],
            "event": [json_reply(EVENTS)],
        }
        self.requests: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.stopped = threading.Event()
        self._received = threading.Condition()

    def say(self, content: str, *replies: Reply) -> None:
        self.replies[content] = list(replies)

    def asked(self, content: str) -> list[dict[str, str]]:
        return [request for request in self.requests if request.get("content") == content]

    def receive(self, request: dict[str, str], headers: dict[str, str]) -> None:
        with self._received:
            self.requests.append(request)
            self.headers.append(headers)
            self._received.notify_all()

    def wait_for(self, content: str, number: int) -> None:
        """Wait until requests have arrived, of a client that did not wait for their responses."""
        with self._received:
            assert self._received.wait_for(lambda: len(self.asked(content)) >= number, 60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api/"

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        request = dict(parse_qsl(form, keep_blank_values=True))
        self.server.receive(request, dict(self.headers))
        replies = self.server.replies[request["content"]]
        self.send(replies.pop(0) if len(replies) > 1 else replies[0])

    def do_GET(self) -> None:
        self.server.requests.append({"method": "GET"})
        self.send(Reply(status=501))

    def send(self, reply: Reply) -> None:
        if reply.end == "never":
            self.server.stopped.wait()
            return
        if reply.end == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.end == "chunks":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            missing = 100 if reply.end == "short" else 0
            self.send_header("Content-Length", str(len(reply.body) + missing))
        self.end_headers()
        if reply.end == "chunks":
            self.wfile.write(b"%x\r\n%s\r\n" % (len(reply.body), reply.body))
        else:
            self.wfile.write(reply.body)
        self.close_connection = reply.end != "whole"

    def log_message(self, *_: Any) -> None:
        pass
