"""A language model for tests: answers when it is let, and fails as often as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SlowModel(ThreadingHTTPServer):
    """An OpenAI-compatible endpoint at `url`. Each request sets `asked`, then waits for `may_answer`."""

    daemon_threads = True

    def __init__(self, answer: str, failures: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.answer = json.dumps({"choices": [{"message": {"role": "assistant", "content": answer}}]}).encode()
        self.failures = failures
        self.asked = threading.Event()
        self.may_answer = threading.Event()


class _Request(BaseHTTPRequestHandler):
    server: SlowModel

    def do_POST(self) -> None:
        """Answer one question."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.set()
        self.server.may_answer.wait()
        failing = self.server.failures > 0
        self.server.failures -= failing
        self.send_response(500 if failing else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@contextmanager
def slow_model(answer: str, failures: int = 0) -> Iterator[SlowModel]:
    """Serve a model while the body runs."""
    with SlowModel(answer, failures) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.may_answer.set()
            server.shutdown()
            thread.join()
