"""A file that somebody else changes: a mounted ConfigMap or Secret, or one on a developer's disk."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

PERIOD = 0.5
"""Seconds between two looks. Reading a few kilobytes is cheap, and sees what watching an inode does not: the kubelet swaps a
link two levels up, editors replace the file."""


async def contents(path: Path) -> AsyncIterator[bytes | None]:
    """What it holds, now and after each change; None while it is not there. Without an end."""
    before: bytes | str | None = "not yet read"
    while True:
        content = await asyncio.to_thread(_read, path)
        if content != before:
            before = content
            yield content
        await asyncio.sleep(PERIOD)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
