"""An OpenAI-compatible endpoint on this host that behaves as a test's script says: well, badly or not at all."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One request; what it is answered is the server's next behaviour."""

    server: Model

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers, json.loads(body)))
        behaviour = self.server.script.pop(0) if len(self.server.script) > 1 else self.server.script[0]
        self.server.arrived.set()
        behaviour(self)

    def reply(self, body: str | bytes, status: int = 200, **headers: str) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", headers.pop("content_type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are kept in `requests`, not printed."""


class Model(ThreadingHTTPServer):
    """The endpoint. `script` holds what it does, in order; the last behaviour stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.script: list[Behaviour] = []
        self.requests: list[tuple[str, Message, Any]] = []
        self.arrived = threading.Event()
        self.release = threading.Event()

    def does(self, *script: Behaviour) -> None:
        self.script = list(script)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up breaks the connection; anything else must be seen."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def completion(content: str | None) -> str:
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]})


def answers(content: str | None) -> Behaviour:
    return lambda exchange: exchange.reply(completion(content))


def replies(body: str | bytes, status: int = 200, **headers: str) -> Behaviour:
    return lambda exchange: exchange.reply(body, status, **headers)


def waits_for_release(exchange: Exchange) -> None:
    exchange.server.release.wait()
    exchange.reply(completion("Django"))


def hangs_in_the_middle(exchange: Exchange) -> None:
    exchange.send_response(200)
    exchange.send_header("Content-Length", "1000")
    exchange.end_headers()
    exchange.wfile.write(b'{"choices"')
    exchange.wfile.flush()
    exchange.server.release.wait()


def breaks_off(exchange: Exchange) -> None:
    exchange.send_response(200)
    exchange.send_header("Content-Length", "1000")
    exchange.end_headers()
    exchange.wfile.write(b'{"choices"')
