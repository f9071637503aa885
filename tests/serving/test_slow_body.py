"""A body that does not come: its client is told so, and keeps neither a place nor the end of the pod waiting."""

import asyncio

import pytest

from lightserver import DEADLINE, light_server
from tuneloop_server import body
from tuneloop_server.chat import fast_path


@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings", "feedback"])
async def test_it_is_awaited_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the fast path, where there is one, or by the route: not by both in turn."""
    monkeypatch.setattr(fast_path, "SECONDS", 0.1)
    monkeypatch.setattr(body, "SECONDS", 2 * DEADLINE if path == "chat/completions" else 0.1)
    async with light_server("") as pod, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", pod.port)
        writer.write(f"POST /v1/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()
        await writer.wait_closed()
