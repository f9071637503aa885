"""Makes this pod hold what the manifest names, each adapter for itself: a bad one never stands in another's way.

Loading ── loaded and probed ──► Loaded ── dropped from the manifest ──► Draining ── last request done ──► gone
   └────── refused ──► Failed ◄──┘ lost by an engine that restarted
                       (ArtifactNotFound: tried again until it is there or dropped)
"""

import asyncio
import itertools
import logging
import math
from collections.abc import Mapping

from tuneloop_contracts.manifest import AdapterManifest, ManifestAdapter
from tuneloop_contracts.pods import AdapterReport, AdapterState, LoadFault
from tuneloop_server.adapters.admission import admit
from tuneloop_server.adapters.entry import AdapterEntry, AdapterLease
from tuneloop_server.adapters.fetch import fetch, forget
from tuneloop_server.adapters.preflight import Limits, preflight
from tuneloop_server.adapters.rejection import AdapterRejected
from tuneloop_server.background import in_background
from tuneloop_server.engine.base import Engine
from tuneloop_server.notifier import ChangeNotifier

log = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY_LOCAL, LAST_RETRY_REMOTE = 0.25, 1.0, 15.0
"""Seconds between looks for an artifact that is not there; doubling. Looking at a mounted folder costs nothing."""


class AdapterService:
    def __init__(self, engine: Engine, max_rank: int, notifier: ChangeNotifier) -> None:
        self._engine = engine
        engine.on_lost(self._lose)
        self._limits = Limits(engine.facts, max_rank)
        self._notifier = notifier
        self._entries: list[AdapterEntry] = []
        self._refused: tuple[AdapterReport, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._one_at_a_time = asyncio.Lock()
        """Each load holds an adapter's weights twice for a moment."""

    def apply(self, manifest: AdapterManifest) -> None:
        """Drop what it does not name, begin what is new. Returns at once; the work is done in the background."""
        admission = admit(manifest)
        wanted, self._refused = admission.wanted, admission.refused
        for entry in self._entries:
            if entry.adapter not in wanted:
                self._drop(entry)
        for adapter in wanted:
            self._want(adapter)
        self._notifier.notify()

    def loaded(self) -> Mapping[str, ManifestAdapter]:
        """What answers now, by revision."""
        return {entry.adapter.name: entry.adapter for entry in self._entries if entry.state is AdapterState.LOADED}

    def hold(self, revision: str) -> AdapterLease:
        """Of a loaded revision. Raises KeyError."""
        for entry in self._entries:
            if entry.adapter.name == revision and entry.state is AdapterState.LOADED:
                return AdapterLease(entry)
        raise KeyError(revision)

    @property
    def settled(self) -> bool:
        """Nothing is Loading: each entry answers, or has failed and said why."""
        return all(entry.state is not AdapterState.LOADING for entry in self._entries)

    def report(self) -> tuple[AdapterReport, ...]:
        return (*(entry.report() for entry in self._entries), *self._refused)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _want(self, adapter: ManifestAdapter) -> None:
        known = next((entry for entry in self._entries if entry.adapter == adapter and not entry.leaving), None)
        if known is None:
            entry = AdapterEntry(adapter, f"{adapter.name}-{next(self._numbers)}")
            self._entries.append(entry)
            task = asyncio.create_task(self._live(entry))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif known.dropped.is_set():
            known.dropped.clear()
            if known.state is AdapterState.DRAINING:
                known.state = AdapterState.LOADED

    def _drop(self, entry: AdapterEntry) -> None:
        entry.dropped.set()
        if entry.state is AdapterState.LOADED:
            entry.state = AdapterState.DRAINING

    def _lose(self, handle: str) -> None:
        for entry in self._entries:
            if entry.handle == handle:
                self._fail(entry, LoadFault.LOAD_FAILED, "the engine restarted, and could not load it again")

    async def _live(self, entry: AdapterEntry) -> None:
        """From its first appearance to its end."""
        await self._bring_up(entry)
        while not entry.leaving:
            await entry.dropped.wait()
            await entry.unused.wait()
            entry.leaving = entry.dropped.is_set()  # it may have been taken back meanwhile
        if entry.delta is not None:
            await self._engine.unload(entry.handle)
        self._entries.remove(entry)
        if not any(other.adapter.digest == entry.adapter.digest for other in self._entries):
            await asyncio.to_thread(forget, entry.adapter.digest)
        log.info("adapter %s is gone", entry.adapter.name)
        self._notifier.notify()

    async def _bring_up(self, entry: AdapterEntry) -> None:
        """Until it is loaded, refused for good, or no longer wanted."""
        remote = not entry.adapter.uri.startswith(("pvc:", "file:"))
        delay = FIRST_RETRY
        while not await self._try(entry):
            if await _waited(entry.dropped, delay) and entry.dropped.is_set():  # it may have been taken back meanwhile
                return
            delay = min(2 * delay, LAST_RETRY_REMOTE if remote else LAST_RETRY_LOCAL)

    async def _try(self, entry: AdapterEntry) -> bool:
        """One attempt; False when another may go better."""
        try:
            delta = await self._load(entry)
        except AdapterRejected as refused:
            self._fail(entry, refused.fault, str(refused))
            return refused.final
        except Exception as error:
            self._fail(entry, LoadFault.LOAD_FAILED, f"the engine could not take it: {type(error).__name__}")
            return True
        entry.delta, entry.fault, entry.message = delta, None, ""
        entry.state = AdapterState.DRAINING if entry.dropped.is_set() else AdapterState.LOADED
        log.info("adapter %s is loaded; it moves the probe's logits by %.3f", entry.adapter.name, delta)
        self._notifier.notify()
        return True

    async def _load(self, entry: AdapterEntry) -> float:
        adapter = entry.adapter
        folder = await asyncio.to_thread(fetch, adapter.uri, adapter.digest, self._limits.max_bytes)
        async with self._one_at_a_time:
            weights = await in_background(lambda throttle: preflight(folder, adapter.digest, self._limits, throttle), self._engine.pressure)
            delta = await self._engine.load(entry.handle, weights)
            if refusal := judge(delta):
                await self._engine.unload(entry.handle)
                raise refusal
        return delta

    def _fail(self, entry: AdapterEntry, fault: LoadFault, message: str) -> None:
        if entry.fault is not fault:
            log.warning("adapter %s: %s: %s", entry.adapter.name, fault, message)
        changed = (entry.state, entry.fault, entry.message) != (AdapterState.FAILED, fault, message)
        entry.state, entry.fault, entry.message = AdapterState.FAILED, fault, message
        if changed:
            self._notifier.notify()


def judge(delta: float) -> AdapterRejected | None:
    """Of the probe: an adapter that changes nothing was not really loaded, and one that breaks the numbers must not answer. Pure."""
    if not math.isfinite(delta):
        return AdapterRejected(LoadFault.CORRUPT_WEIGHTS, "the model's output overflows with it")
    return None if delta > 0 else AdapterRejected(LoadFault.NO_EFFECT, "the model's output is the base's, to the bit")


async def _waited(event: asyncio.Event, seconds: float) -> bool:
    """True as soon as the event is set, False after that time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
