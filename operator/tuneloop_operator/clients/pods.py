"""The status port of server pods: read-only, so nothing that this asks can change what is served."""

import asyncio

import aiohttp
from pydantic import ValidationError

from tuneloop_contracts.pods import ADAPTERS_PATH, RECORDED_PATH, PodReport, RecordedReport
from tuneloop_operator.clients.errors import Unreachable

SIZE_LIMIT = 1024 * 1024
"""Bytes of an answer. A pod with 256 adapters answers with about 80 KiB."""


class Pods:
    """Use as `async with Pods() as pods`."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(connect=2))

    async def __aenter__(self) -> "Pods":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def report(self, address: str, *, seen: int = 0, wait: float = 0, patience: float = 3) -> PodReport:
        """What the pod at `host:port` serves; waits up to `wait` seconds for something newer than `seen`.

        Raises Unreachable, also for an answer that is not a server's of ours.
        """
        text = await self._get(f"{address}{ADAPTERS_PATH}?seen={seen}&wait={wait:g}s", wait + patience)
        try:
            return PodReport.model_validate_json(text)
        except ValidationError:
            raise Unreachable(f"{address}{ADAPTERS_PATH} does not answer as a Tuneloop server") from None

    async def recorded(self, address: str, *, patience: float = 3) -> RecordedReport:
        """Interactions recorded so far, by domain. Raises Unreachable."""
        text = await self._get(f"{address}{RECORDED_PATH}", patience)
        try:
            return RecordedReport.model_validate_json(text)
        except ValidationError:
            raise Unreachable(f"{address}{RECORDED_PATH} does not answer as a Tuneloop server") from None

    async def _get(self, where: str, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds), self._session.get(f"http://{where}", allow_redirects=False) as response:
                if response.status != 200:
                    raise Unreachable(f"{where.split('?')[0]} answers {response.status}")
                return await _body(response, where)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{where.split('?')[0]} does not answer ({type(error).__name__})") from None


async def _body(response: aiohttp.ClientResponse, where: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > SIZE_LIMIT:
            raise Unreachable(f"{where.split('?')[0]} answers more than {SIZE_LIMIT} bytes")
    return bytes(body)
