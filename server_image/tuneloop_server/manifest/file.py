"""The manifest as a file: outside Kubernetes, or mounted where the ConfigMap may not be watched."""

import asyncio
import logging
from pathlib import Path
from typing import Never

from tuneloop_server.manifest.source import EMPTY, BadManifest, Deliver, parse

log = logging.getLogger(__name__)

PERIOD = 0.5
"""Seconds between two looks. Reading a few kilobytes is cheap, and sees what watching an inode does not: the kubelet swaps a
link two levels up, editors replace the file."""


async def follow_file(path: Path, deliver: Deliver) -> Never:
    """Deliver the file's manifest, or the empty one while there is none, then each change."""
    before: bytes | str | None = "not yet read"
    while True:
        content = await asyncio.to_thread(_read, path)
        if content != before:
            before = content
            _hand_over(content, deliver)
        await asyncio.sleep(PERIOD)


def _hand_over(content: bytes | None, deliver: Deliver) -> None:
    try:
        deliver(EMPTY if content is None else parse(content))
    except BadManifest as error:
        log.error("the adapter manifest cannot be used: %s", error)
        deliver(EMPTY)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
