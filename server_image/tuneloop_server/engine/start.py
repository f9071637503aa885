"""The engine that the settings name."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tuneloop_server.engine.base import Engine
from tuneloop_server.settings import BadSettings, Settings


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Engine]:
    """Imports one of the two only: vLLM's needs neither torch nor the seconds that it takes. Raises BadSettings, and
    FileNotFoundError where vLLM's model is not."""
    if settings.engine == "vllm":
        from tuneloop_server.engine.vllm.connect import connected

        async with connected(settings) as vllm:
            yield vllm
    else:
        import torch
        from safetensors import SafetensorError

        from tuneloop_server.engine.hf import HfEngine
        from tuneloop_server.engine.loading import load_base

        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # also of the thread that loads: the engine says why
        try:
            base = await asyncio.to_thread(load_base, settings.model_path)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            why = str(error).strip().partition("\n")[0]
            raise BadSettings(f"MODEL_PATH: {settings.model_path} holds no model that can be loaded: {why}") from error
        engine = HfEngine(base, settings.max_batch, threads)
        gc.freeze()  # the libraries' half a million objects: to look for cycles in them would stop every answer for a quarter of a second
        try:
            yield engine
        finally:
            torch.set_num_threads(threads)
            gc.unfreeze()  # some of them tell of a leak when they are not taken away at the end
