"""A base model in a hub: a stub speaks its HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tuneloop_contracts.progress import FaultReason
from tuneloop_trainer.errors import NeedsEdit, TryLater
from tuneloop_trainer.learn.hub import downloaded

COMMIT = "c" * 40
CONFIG = b'{"model_type": "llama"}'


class Hub(BaseHTTPRequestHandler):
    """`org/open` is there, `org/gated` shows its files to the token `let-me-in` alone, `org/broken` fails, others are not there."""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        name = "/".join(self.path.removeprefix("/api/models").split("/")[1:3])
        told = "let-me-in" in self.headers.get("Authorization", "")
        if name == "org/broken":
            self._say(503, {}, b"", body)
        elif name not in ("org/open", "org/gated"):
            self._say(401, {"X-Error-Code": "RepoNotFound"}, b"", body)
        elif "/no-such" in self.path:
            self._say(404, {"X-Error-Code": "RevisionNotFound"}, b"", body)
        elif "/tree/" in self.path:
            self._say(200, {}, json.dumps([{"type": "file", "path": "config.json", "size": len(CONFIG), "oid": "a" * 40}]).encode(), body)
        elif self.path.startswith("/api/"):
            known = {"_id": "1", "id": name, "sha": COMMIT, "siblings": [{"rfilename": "config.json"}]}
            self._say(200, {}, json.dumps(known).encode(), body)
        elif name == "org/gated" and not told:
            self._say(403, {"X-Error-Code": "GatedRepo"}, b"", body)
        else:
            self._say(200, {"X-Repo-Commit": COMMIT, "ETag": '"e"'}, CONFIG, body)

    def _say(self, code: int, headers: dict[str, str], content: bytes, body: bool) -> None:
        self.send_response(code)
        for header, value in {**headers, "Content-Length": str(len(content)), "Content-Type": "application/json"}.items():
            self.send_header(header, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield
    server.shutdown()
    server.server_close()


def test_a_model_of_the_hub_becomes_a_folder(hub: None) -> None:
    assert (downloaded("hf://org/open") / "config.json").read_bytes() == CONFIG


def test_a_gated_model_says_which_field_and_secret_to_set(hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NeedsEdit) as refused:
        downloaded("hf://org/gated@main")
    fault = refused.value.fault
    assert fault.reason is FaultReason.BASE_MODEL_NOT_FOUND
    assert fault.message.startswith("spec.baseModel.uri hf://org/gated@main: the hub says it is gated, private or not there; ")
    assert "HF_TOKEN into the Secret of spec.baseModel.secretRef" in fault.message
    monkeypatch.setenv("HF_TOKEN", "let-me-in")
    assert (downloaded("hf://org/gated@main") / "config.json").is_file()


@pytest.mark.parametrize(
    ("uri", "error", "want"),
    [
        pytest.param("hf://org/none", NeedsEdit, "gated, private or not there", id="no such model"),
        pytest.param("hf://org/open@no-such", NeedsEdit, "has no revision no-such", id="no such revision"),
        pytest.param("hf://org/broken", TryLater, "the hub does not give it now", id="a hub that is ill"),
    ],
)
def test_what_the_hub_does_not_give_is_told_by_what_to_do(hub: None, uri: str, error: type[Exception], want: str) -> None:
    with pytest.raises(error, match=want):
        downloaded(uri)
