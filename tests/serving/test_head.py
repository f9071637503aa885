"""What a connection may bring before anybody is asked for a key, over raw sockets: our protocol, before an application that answers with
the names of the headers it was given."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from lightserver import DEADLINE
from ports import free_port
from tuneloop_server.upgrade import NoUpgrade
from waiting import until

CHUNKED = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"


async def names(scope: Scope, receive: Receive, send: Send) -> None:
    """After the body; at once, as for who has no key, under another path."""
    request = Request(scope, receive)
    if scope["path"] == "/read":
        await request.body()
    await JSONResponse(list(request.headers))(scope, receive, send)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """To a server that lets a connection be idle for a second."""
    port = free_port()
    config = uvicorn.Config(names, http=NoUpgrade, port=port, log_config=None, lifespan="off", timeout_keep_alive=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(DEADLINE):
        yield reader, writer
    writer.close()
    server.should_exit = True
    await serving


async def told(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and code of an error, after which the server hangs up."""
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert error["type"] == "invalid_request_error"
    assert b"connection: close" in head
    return int(head.split()[1]), error["code"]


async def test_what_is_no_request_is_refused_like_any_other() -> None:
    async with connected() as (reader, writer):
        writer.write(b"\x16\x03\x01\x02\x00\r\n\r\n")
        assert await told(reader) == (400, None)


async def test_a_head_that_never_comes_is_not_awaited_for_ever() -> None:
    async with connected() as (reader, writer):
        writer.write(b"POST /read HTTP/1.1\r\nHost: ")
        assert await told(reader) == (408, "request_timeout")


async def test_who_says_nothing_at_all_is_left() -> None:
    async with connected() as (reader, _):
        assert await reader.read() == b""


async def test_what_follows_a_body_is_no_header() -> None:
    async with connected() as (reader, writer):
        writer.write(CHUNKED + b"Authorization: Bearer key-a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert await reader.readuntil(b"]") == b'["host","transfer-encoding"]'


@pytest.mark.parametrize("path", [b"/read", b"/at-once"])
async def test_what_follows_a_body_without_an_end_is_cut_off(path: bytes) -> None:
    async with connected() as (_, writer):
        writer.write(CHUNKED.replace(b"/read", path) + b"X-A: ")
        with pytest.raises(ConnectionError):
            await flood(writer)


async def flood(writer: asyncio.StreamWriter) -> None:
    for _ in range(1000):
        writer.write(b"x" * 2**16)
        await writer.drain()
