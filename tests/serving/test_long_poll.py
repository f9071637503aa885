"""The operator's question whether anything is new, which waits for its answer."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from lightserver import DEADLINE, HeldEngine
from ports import free_port
from tuneloop_server.parts import Parts
from tuneloop_server.serve import serve
from tuneloop_server.settings import Settings
from waiting import until

ADAPTERS = "/status/adapters"


async def test_it_is_answered_when_the_pod_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Or each pod would end with an error in its log and in the operator's, and a second later."""
    ports = {"port": free_port(), "status_port": free_port()}
    parts = Parts(Settings(Path("/models/x"), "x", host="127.0.0.1", **ports), HeldEngine())
    serving = asyncio.create_task(serve(parts))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports['status_port']}", timeout=DEADLINE) as operator:

        async def answers() -> bool:
            try:
                return (await operator.get(ADAPTERS)).is_success and parts.status.ready
            except httpx.TransportError:
                return False

        await until(answers)
        seen = (await operator.get(ADAPTERS)).json()["revision"]
        poll = asyncio.create_task(operator.get(ADAPTERS, params={"seen": seen, "wait": "30s"}))
        await until(lambda: parts.status._notifier._next._waiters)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await poll).json()["baseModel"] == "x"
    async with asyncio.timeout(DEADLINE):
        await serving
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
