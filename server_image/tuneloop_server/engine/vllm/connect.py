"""From the settings to an engine that is there, and to its end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp

from tuneloop_contracts.base import base_digest
from tuneloop_server.engine.base import QUEUE_PER_ROW, BaseFacts
from tuneloop_server.engine.vllm.adapters import Adapters
from tuneloop_server.engine.vllm.client import Client, ModelCard, VllmError, VllmUnavailable, connector
from tuneloop_server.engine.vllm.engine import LOOK_SECONDS, VllmEngine
from tuneloop_server.engine.vllm.outline import linears
from tuneloop_server.settings import BadSettings, Settings

log = logging.getLogger(__name__)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[VllmEngine]:
    """Waits for vLLM. Raises BadSettings when another server answers or it serves another base, and FileNotFoundError when the base's
    folder holds no safetensors."""
    folder = settings.model_path
    digest, outline = await asyncio.to_thread(lambda: (base_digest(folder), linears(folder)))
    async with aiohttp.ClientSession(settings.vllm_url, connector=connector()) as session:
        client = Client(session)
        try:
            base = await _arrived(client)
        except VllmError as refusal:
            raise BadSettings(f"VLLM_URL: what answers there is not vLLM: {refusal}") from refusal
        if base.root != str(folder):
            raise BadSettings(f"vLLM serves {base.root}, and MODEL_PATH is {folder}: give both the same folder under the same path")
        facts = BaseFacts(digest, base.context or 0, outline, f"vLLM at {settings.vllm_url}")
        up = asyncio.Event()
        adapters = Adapters(client, base.id, settings.vllm_adapters, up)
        await adapters.clear()
        engine = VllmEngine(client, facts, adapters, up, QUEUE_PER_ROW * settings.max_batch)
        keeping = asyncio.create_task(engine.keep())
        try:
            yield engine
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


async def _arrived(client: Client) -> ModelCard:
    """The base, as soon as vLLM has loaded it."""
    log.info("waiting for vLLM")
    while True:
        with suppress(VllmUnavailable):
            return (await client.models())[0]
        await asyncio.sleep(LOOK_SECONDS)
