"""The operator's receiver of progress and reports, as far as a pod sees it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/v1/namespaces/chat/finetunejobs/week-47"


@dataclass
class Receiver:
    url: str = ""
    """Of the progress; what a pod gets in its environment."""
    received: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Path, authorization, body."""
    refusals: int = 0
    """How many more bodies it answers with 503."""

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [body for path, _, body in self.received if path == f"{PATH}/{kind}"]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            refused = receiver.refusals > 0
            receiver.refusals -= refused
            if not refused:
                receiver.received.append((self.path, self.headers.get("Authorization", ""), body))
            self.send_response(503 if refused else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}{PATH}/progress"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
