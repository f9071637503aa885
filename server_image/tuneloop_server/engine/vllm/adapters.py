"""What vLLM should hold, and whether it does.

    written    to a folder that both containers see, under a name that says what is in it and is never given to anything else
    loaded     vLLM says so
    listed     vLLM names it among its models, with that folder
    probed     it moves the base's probabilities

A vLLM that restarted holds nothing: the same again from `loaded` on, for each.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tuneloop_server.engine.base import AdapterWeights
from tuneloop_server.engine.vllm.client import Client, VllmError, VllmUnavailable
from tuneloop_server.engine.vllm.files import content_digest, empty, remove, write
from tuneloop_server.engine.vllm.probe import look, probe

log = logging.getLogger(__name__)

MOST_DEATHS = 2
"""Times that vLLM may go away while it loads one adapter; after that the adapter is taken for the cause."""


class NotLoaded(Exception):
    """vLLM will not have it, whatever its answer was."""


class Adapters:
    """Called on the event loop. `folder`: ours alone, and seen by vLLM under the same path. `up`: vLLM was there when last looked at."""

    def __init__(self, client: Client, base: str, folder: Path, up: asyncio.Event) -> None:
        self._client = client
        self._base = base
        self._folder = folder
        self._up = up
        self._names: dict[str, str] = {}
        """vLLM's name of each adapter that was loaded, by handle."""
        self._lost: set[str] = set()
        """Handles of those that could not be taken back."""
        self._deaths: Counter[str] = Counter()
        self._base_alone: Mapping[str, float] = {}
        """The probe of the base, from the start of vLLM's life, before it had anything else to do."""
        self.on_lost: Callable[[str], None] = lambda handle: None
        self._one_at_a_time = asyncio.Lock()

    def name(self, handle: str | None) -> str:
        """What to ask vLLM for; the base's for None. Raises KeyError."""
        return self._base if handle is None else self._names[handle]

    async def add(self, handle: str, adapter: AdapterWeights) -> float:
        """Waits for vLLM while it is away. Returns the probe's delta. Raises NotLoaded, and leaves nothing behind then."""
        name = f"{handle}-{content_digest(adapter)}"
        await asyncio.to_thread(write, self._folder / name, adapter)
        try:
            delta = await self._until_answered(name)
        except BaseException:
            await self._forget(name)
            raise
        self._names[handle] = name
        return delta

    async def remove(self, handle: str) -> None:
        async with self._one_at_a_time:
            name = self._names.pop(handle)
            self._lost.discard(handle)
            await self._forget(name)

    async def restore(self) -> None:
        """Load again what is not there. One that cannot be is lost, and does not hold up the others. Raises VllmUnavailable, VllmError."""
        async with self._one_at_a_time:
            listed = {card.id for card in await self._client.models()}
            if not self._up.is_set() and listed.isdisjoint(self._names.values()):  # a new life of its own, and nobody asks anything yet
                self._base_alone = await look(self._client, self._base)  # this first look compiles, for up to 20 s on a CPU
            for handle, name in list(self._names.items()):
                if name not in listed and handle not in self._lost:
                    await self._take_back(handle, name)

    async def clear(self) -> None:
        """Of what an earlier life of this process left behind. Raises VllmUnavailable."""
        for card in await self._client.models():
            if card.parent is not None:
                await self._client.unload_adapter(card.id)
        await asyncio.to_thread(empty, self._folder)

    async def _until_answered(self, name: str) -> float:
        while True:
            await self._up.wait()
            async with self._one_at_a_time:
                with suppress(VllmUnavailable):
                    return await self._load(name)
                self._up.clear()  # until the next look at it

    async def _take_back(self, handle: str, name: str) -> None:
        try:
            delta = await self._load(name)
            if not 0 < delta < math.inf:
                raise NotLoaded(f"it moves the probe by {delta}")
        except NotLoaded as error:
            log.error("vLLM restarted, and %s could not be loaded again: %s", name, error)
            self._lost.add(handle)
            self.on_lost(handle)
        else:
            log.info("vLLM restarted; %s is loaded again, and moves the probe by %.3f", name, delta)

    async def _load(self, name: str) -> float:
        """Unless an earlier try got through after all; then see whether it is there. Raises VllmUnavailable and NotLoaded."""
        if self._deaths[name] >= MOST_DEATHS:
            raise NotLoaded(f"vLLM went away {MOST_DEATHS} times while it loaded this")
        there = await self._listed(name)
        try:
            if not there:
                await self._client.load_adapter(name, str(self._folder / name))
            if not await self._listed(name):
                raise NotLoaded("vLLM says that it is loaded, and does not list it")
            delta = await probe(self._client, self._base, self._base_alone, name)
        except VllmError as refusal:
            log.warning("vLLM does not load %s: %s", name, refusal)
            raise NotLoaded(str(refusal)) from refusal
        except VllmUnavailable:
            self._deaths[name] += 1
            raise
        del self._deaths[name]
        return delta

    async def _listed(self, name: str) -> bool:
        return any((card.id, card.root) == (name, str(self._folder / name)) for card in await self._client.models())

    async def _forget(self, name: str) -> None:
        with suppress(VllmUnavailable, VllmError):  # then it is not there anyway
            await self._client.unload_adapter(name)
        await asyncio.to_thread(remove, self._folder / name)
