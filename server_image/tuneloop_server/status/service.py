"""What this pod says of itself."""

import re

from tuneloop_contracts.pods import PodReport, RecordedReport
from tuneloop_server.adapters.service import AdapterService
from tuneloop_server.engine.base import Engine
from tuneloop_server.errors import BadRequest
from tuneloop_server.manifest.current import CurrentManifest
from tuneloop_server.notifier import ChangeNotifier
from tuneloop_server.record.health import RecordHealth

LONGEST_WAIT = 30.0
"""Seconds of a long poll; proxies cut longer ones."""
_WAIT = re.compile(r"^(\d{1,4})s?$")


class StatusService:
    def __init__(
        self,
        adapters: AdapterService,
        current: CurrentManifest,
        health: RecordHealth,
        notifier: ChangeNotifier,
        engine: Engine,
        base_model: str,
        max_lora_rank: int,
    ) -> None:
        """`base_model`: as clients ask for it."""
        self._adapters = adapters
        self._current = current
        self._health = health
        self._notifier = notifier
        self._engine = engine
        self._base_model = base_model
        self._max_lora_rank = max_lora_rank
        self._was_ready = False

    @property
    def ready(self) -> bool:
        """The base is loaded, it is known what to serve, and each entry answers or has failed for a reason that is told.
        Once so it stays so, since a later load must not take a pod out of service; only an engine that restarts does."""
        self._was_ready = self._was_ready or (self._current.known and self._adapters.settled)
        return self._was_ready and self._engine.ready

    @property
    def broken(self) -> bool:
        """Only a restart helps."""
        return self._engine.broken

    async def adapters(self, seen: int | None, wait: float) -> PodReport:
        """At once, or when there is something other than `seen`, or after `wait` seconds."""
        if seen is not None:
            await self._notifier.newer_than(seen, wait)
        return PodReport(
            resource_version=self._current.resource_version,
            revision=self._notifier.revision,
            base_model=self._base_model,
            base_digest=self._engine.facts.digest,
            max_lora_rank=self._max_lora_rank,
            adapters=self._adapters.report(),
            redis=self._health.state,
        )

    def close(self) -> None:
        """Nobody is kept waiting any more."""
        self._notifier.end()

    async def recorded(self) -> RecordedReport:
        return await self._health.recorded()


def parse_wait(text: str) -> float:
    """`10s` -> 10.0, at most LONGEST_WAIT. Raises BadRequest."""
    match = _WAIT.match(text)
    if not match:
        raise BadRequest("wait must be seconds, as in 10s", param="wait")
    return min(float(match[1]), LONGEST_WAIT)
