"""Both ports in one process, and an end in good order."""

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from tuneloop_server.app import create_app, create_status_app
from tuneloop_server.parts import Parts
from tuneloop_server.settings import BadSettings
from tuneloop_server.upgrade import NoUpgrade

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which load balancers drop an idle connection: who closes first must not be us, or a request that is just
being sent on it is lost."""


class Server(uvicorn.Server):
    """Leaves the signals to us: two servers share them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(parts: Parts) -> None:
    """Until SIGTERM or SIGINT; then: not ready, new requests refused, running ones finished, the record written. Raises BadSettings."""
    settings = parts.settings
    with bound("PORT", settings.host, settings.port) as port, bound("STATUS_PORT", settings.host, settings.status_port) as status_port:
        await _serve(parts, [port, status_port])


async def _serve(parts: Parts, sockets: list[socket.socket]) -> None:
    servers = [_server(app) for app in (create_app(parts), create_status_app(parts))]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with parts.running():
        running = [asyncio.create_task(server.serve([own])) for server, own in zip(servers, sockets, strict=True)]
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await _drain(parts)
        for server in servers:
            server.should_exit = True
        parts.status.close()  # or the operator's long poll would be broken off with a 500, and a line in the log of each pod that ends
        await asyncio.gather(*running)
    parts.engine.close()


@contextmanager
def bound(name: str, host: str, port: int) -> Iterator[socket.socket]:
    """Before anything runs: uvicorn would end the process from within one of its tasks, and it hung. Raises BadSettings."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((host, port))
            own.listen()  # two may be bound to one port, but not listen there
        except UnicodeError as error:
            raise BadSettings(f"HOST: {host} is no address and no name") from error
        except OSError as error:
            at_fault = "HOST" if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL else name
            raise BadSettings(f"{at_fault}: cannot listen on {host} port {port}: {error.strerror}") from error
        yield own


async def _drain(parts: Parts) -> None:
    log.info("draining: new requests are refused, running ones have %d s", parts.settings.drain_seconds)
    if await parts.lifecycle.drained(parts.settings.drain_seconds):
        return log.info("drained")
    log.info("time is up: requests still run and are broken off")
    parts.engine.close()  # so that they end with an error that their clients can read, and not in mid-air


def _server(app: FastAPI) -> Server:
    config = uvicorn.Config(
        app,
        http=NoUpgrade,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # whoever asks says so by a key, not by an address
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    return Server(config)
