"""Clients that ask too much, send nonsense, hang up or never read: they get a 4xx, and cost the others and the memory nothing."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from serverprocess import DEADLINE, ServerProcess
from tinymodel import CONTEXT, TINY

KEY = {"Authorization": "Bearer key-a"}
MEGABYTE = 2**20
FLAT = 24 * MEGABYTE
"""What a server may grow by, whatever came in: allocators keep some, and the first of everything costs something."""


def post(server: ServerProcess, content: bytes | Iterator[bytes], path: str = "/v1/chat/completions") -> httpx.Response:
    return httpx.post(f"{server.url}{path}", content=content, headers=KEY, timeout=DEADLINE)


def chat(**fields: object) -> bytes:
    return json.dumps({"model": TINY, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2} | fields).encode()


def said(text: str) -> bytes:
    return chat(messages=[{"role": "user", "content": text}])


@pytest.mark.parametrize(
    ("body", "want_status", "want_code"),
    [
        pytest.param(said("x" * CONTEXT), 400, "context_length_exceeded", id="a prompt over the context"),
        pytest.param(said("x" * 10 * MEGABYTE), 413, "request_too_large", id="ten megabytes"),
        pytest.param(chat(n=10**6), 400, None, id="a million choices"),
        pytest.param(chat(n=10**30), 400, None, id="more choices than a machine word holds"),
        pytest.param(chat(max_tokens=10**9), 400, None, id="a billion tokens"),
        pytest.param(chat(max_completion_tokens=10**30), 400, None, id="more tokens than a machine word holds"),
        pytest.param(chat(max_tokens=-1), 400, None, id="fewer tokens than none"),
        pytest.param(chat(stop=["x"] * 1000), 400, None, id="a thousand stop sequences"),
        pytest.param(chat(stop="x" * 10_000), 400, None, id="a long stop sequence"),
        pytest.param(chat(messages=[{"role": "user", "content": "x"}] * 60_000), 413, "request_too_large", id="many messages"),
        pytest.param(chat(messages=[{"role": "user", "content": ""}] * 2049), 400, None, id="more messages than anybody takes"),
        pytest.param(chat().replace(b"hi", b"\xff\xfe"), 400, None, id="no UTF-8"),
        pytest.param(chat().replace(b"hi", b"\xed\xa0\x80"), 400, None, id="a surrogate in UTF-8"),
        pytest.param(chat().replace(b"hi", b"\\ud800"), 400, None, id="half of a surrogate pair"),
        pytest.param(chat(metadata={"conversation_id": "\ud800"}), 400, None, id="half of one where nobody looks"),
        pytest.param(chat().decode().encode("utf-16"), 400, None, id="UTF-16"),
        pytest.param(chat(temperature=float("nan")), 400, None, id="NaN"),
        pytest.param(chat(temperature=1).replace(b": 1}", b": 1e999}"), 400, None, id="beyond every float"),
        pytest.param(chat(seed=0).replace(b": 0", b": " + b"9" * 5000), 400, None, id="a number of 5,000 digits"),
        pytest.param(b'{"a":' * 100_000, 400, None, id="deeper than the stack"),
        pytest.param(b"", 400, None, id="nothing"),
        pytest.param(chat(model="\x00../../etc/passwd"), 404, "model_not_found", id="a path for a model"),
        pytest.param(chat(model="x" * 500_000), 404, "model_not_found", id="half a megabyte for a model"),
    ],
)  # fmt: skip
def test_each_is_told_what_to_mend(tiny_server: ServerProcess, body: bytes, want_status: int, want_code: str | None) -> None:
    answer = post(tiny_server, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (want_status, want_code, "invalid_request_error")
    assert 0 < len(error["message"]) < 600


def test_a_compressed_body_is_called_so(tiny_server: ServerProcess) -> None:
    assert "Content-Encoding" in post(tiny_server, gzip.compress(chat())).json()["error"]["message"]


def test_text_that_is_strange_but_text_is_answered(tiny_server: ServerProcess) -> None:
    for text in ("\x00", "\ud83c\udf89".encode("utf-16", "surrogatepass").decode("utf-16"), "\u202eabc", "\ufeff", "a\u0301" * 50, " "):
        assert post(tiny_server, said(text)).status_code == 200


def test_memory_stays_flat_whatever_comes(tiny_server: ServerProcess) -> None:
    assert tiny_server.process
    pid = tiny_server.process.pid
    flood = (said("x" * 10 * MEGABYTE), b"[" * MEGABYTE, chat(n=10**6), chat(stop=["x"] * 100_000), chat(max_tokens=10**9))

    def all_of_it() -> None:
        for body in flood:
            assert post(tiny_server, body).status_code in (400, 413)
        assert post(tiny_server, (b"x" * 65536 for _ in range(160))).status_code == 413

    all_of_it()
    before = resident(pid)
    for _ in range(10):
        all_of_it()
    assert resident(pid) - before < FLAT


@pytest.mark.parametrize("line", [b"X-A: ", b"POST /v1/"])
def test_a_head_without_an_end_is_cut_off(tiny_server: ServerProcess, line: bytes) -> None:
    """One header, or one URL: nobody was asked for a key yet."""
    assert tiny_server.process
    before = resident(tiny_server.process.pid)
    with socket.create_connection(("127.0.0.1", tiny_server.port), timeout=DEADLINE) as endless:
        endless.sendall((b"" if line.startswith(b"POST") else b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n") + line)
        with pytest.raises((ConnectionError, TimeoutError)):
            endless.sendall(b"x" * 64 * MEGABYTE)
    assert resident(tiny_server.process.pid) - before < FLAT
    assert post(tiny_server, chat()).status_code == 200


def test_a_long_head_that_ends_is_read(tiny_server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", tiny_server.port), timeout=DEADLINE) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        for number in range(50):
            slow.sendall(b"X-%d: " % number + b"x" * 1000 + b"\r\n")
        slow.sendall(b"\r\n")
        assert slow.recv(100).startswith(b"HTTP/1.1 200")


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1024


@contextmanager
def streams(server: ServerProcess, count: int) -> Iterator[list[socket.socket]]:
    """That have been asked for, of which nothing is read."""
    body = chat(stream=True, max_tokens=48, temperature=1)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key-b\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            stack.enter_context(one).connect(("127.0.0.1", server.port))
            one.sendall(head + body)
            opened.append(one)
        yield opened


def ended(server: ServerProcess) -> float:
    metrics = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in metrics if line.startswith('tuneloop_requests_total{adapter="base",'))


def test_who_never_reads_keeps_no_row_and_nobody_waiting(tiny_server: ServerProcess) -> None:
    before = ended(tiny_server)
    with streams(tiny_server, 4):
        tiny_server.wait_until(lambda: ended(tiny_server) >= before + 4, "the engine is done with them")
        assert tiny_server.metric("vllm:num_requests_running") == 0
        assert post(tiny_server, chat()).status_code == 200


def test_who_hangs_up_is_forgotten(tiny_server: ServerProcess) -> None:
    """In the middle of a request, or of its answer, or at once."""
    before = ended(tiny_server)
    for _ in range(5):
        with streams(tiny_server, 4) as opened:
            for one in opened[:2]:
                one.recv(1)
    with socket.create_connection(("127.0.0.1", tiny_server.port)) as half:
        half.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key-b\r\nContent-Length: 99\r\n\r\n{")
    tiny_server.wait_until(lambda: tiny_server.metric("vllm:num_requests_running") == 0, "every row is free")
    tiny_server.wait_until(lambda: four_places(tiny_server), "every place of that tenant is free")
    assert ended(tiny_server) > before
    assert "unexpected" not in tiny_server.log()


def four_places(server: ServerProcess) -> bool:
    """As many requests at once as a tenant may have."""
    statuses: list[int] = []
    clients = [threading.Thread(target=lambda: statuses.append(server.ask(TINY, "hi", key="key-b").status_code)) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return statuses == [200] * 4


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/models"])
def test_what_can_be_got_has_a_head(tiny_server: ServerProcess, path: str) -> None:
    answer = httpx.head(f"{tiny_server.url}{path}", headers=KEY)
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_operator_hears_which_ranks_are_refused(tiny_server: ServerProcess) -> None:
    assert tiny_server.report().max_lora_rank == 64


def test_a_place_that_is_not_there_is_named(tiny_server: ServerProcess) -> None:
    answer = httpx.post(f"{tiny_server.url}/v1/chat", headers=KEY)
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Not Found: POST /v1/chat")
