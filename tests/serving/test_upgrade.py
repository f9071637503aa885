"""Clients that offer HTTP/2 in clear text, as every Java one does, over raw sockets."""

import json
import re
import socket

import pytest

from serverprocess import DEADLINE, ServerProcess
from tinymodel import TINY

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
BODY = json.dumps({"model": TINY, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, "temperature": 0}).encode()
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def asked(*, chunked: bool = False, body: bytes = BODY, offer: bytes = OFFER) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key-a\r\n" + offer
    if chunked:
        parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:20], body[20:]))
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def told(server: ServerProcess, *pieces: bytes) -> list[bytes]:
    """The status of each answer, until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        answer = b""
        while more := client.recv(65536):
            answer += more
    return re.findall(rb"HTTP/1\.1 (\d{3})", answer)


@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_after_an_offer_is_read_and_the_connection_kept(tiny_server: ServerProcess, chunked: bool) -> None:
    assert told(tiny_server, asked(chunked=chunked), LAST) == [b"200", b"200"]


@pytest.mark.parametrize("chunked", [False, True])
def test_however_it_comes_in_pieces(tiny_server: ServerProcess, chunked: bool) -> None:
    whole = asked(chunked=chunked) + LAST
    assert told(tiny_server, *(whole[at : at + 7] for at in range(0, len(whole), 7))) == [b"200", b"200"]


def test_many_in_one_piece_are_answered_in_order(tiny_server: ServerProcess) -> None:
    mixed = [asked(), asked(offer=b""), asked(body=b"{"), asked(chunked=True), b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n"]
    assert told(tiny_server, b"".join(mixed) + LAST) == [b"200", b"200", b"400", b"200", b"200", b"200"]


@pytest.mark.parametrize("body", [b"", b"x" * 2**21])
def test_a_bad_body_after_an_offer_is_refused_like_any_other(tiny_server: ServerProcess, body: bytes) -> None:
    (first, *_) = told(tiny_server, asked(body=body), LAST)
    assert first == (b"413" if body else b"400")


def test_a_body_that_breaks_off_is_no_request(tiny_server: ServerProcess) -> None:
    assert told(tiny_server, asked(chunked=True)[:-5] + b"zz\r\n") == [b"400"]
    assert "Unsupported upgrade" not in tiny_server.log()
