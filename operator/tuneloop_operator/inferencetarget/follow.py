"""Follows the ready pods of every target by long poll, so that a change in what they serve is seen within a second."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tuneloop_contracts.pods import RecordedReport
from tuneloop_operator.clients.errors import Unreachable
from tuneloop_operator.clients.pods import Pods
from tuneloop_operator.ledger.inputs import Pod
from tuneloop_operator.queue import Key

POLL_SECONDS = 10.0
RECORDED_SECONDS = 30.0
"""How often the counters of recorded interactions are read again."""
RETRY_SECONDS = 2.0
FIRST_ANSWER_SECONDS = 3.0


@dataclass(frozen=True)
class Address:
    """A ready pod; its uid tells a new pod from an old one of the same name."""

    name: str
    uid: str
    host: str
    """`ip:port` of the status port."""


@dataclass
class _Followed:
    pod: Pod
    recorded: RecordedReport | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class PodFollowers:
    """One task a ready pod. `changed` is told the target whose pods say something new."""

    def __init__(self, pods: Pods, changed: Callable[[Key], None]) -> None:
        self._pods = pods
        self._changed = changed
        self._followed: dict[Key, dict[Address, _Followed]] = {}

    async def look(self, target: Key, addresses: Sequence[Address]) -> tuple[Pod, ...]:
        """Follows exactly these, and returns what each said last; a new one is given a moment to say it first."""
        known = self._followed.setdefault(target, {})
        for address in known.keys() - set(addresses):
            self._stop(known.pop(address))
        for address in addresses:
            if address not in known:
                known[address] = followed = _Followed(Pod(address.name))
                followed.task = asyncio.create_task(self._follow(target, address, followed))
        first = [asyncio.create_task(known[address].answered.wait()) for address in addresses]
        if first:
            _, late = await asyncio.wait(first, timeout=FIRST_ANSWER_SECONDS)
            for waiter in late:
                waiter.cancel()
        return tuple(known[address].pod for address in addresses)

    def peek(self, target: Key) -> tuple[Pod, ...] | None:
        """What the pods said last; None before the target's first pass."""
        known = self._followed.get(target)
        return None if known is None else tuple(known[address].pod for address in sorted(known, key=lambda address: address.name))

    def recorded(self, target: Key) -> dict[str, int]:
        """Interactions by domain. Every pod counts in the same Redis, so the newest count is the largest."""
        counts: dict[str, int] = {}
        for followed in self._followed.get(target, {}).values():
            for domain, count in (followed.recorded.recorded if followed.recorded else {}).items():
                counts[domain] = max(count, counts.get(domain, 0))
        return counts

    def forget(self, target: Key) -> None:
        for followed in self._followed.pop(target, {}).values():
            self._stop(followed)

    def stop(self) -> None:
        for target in list(self._followed):
            self.forget(target)

    @staticmethod
    def _stop(followed: _Followed) -> None:
        if followed.task:
            followed.task.cancel()

    async def _follow(self, target: Key, address: Address, followed: _Followed) -> None:
        seen, counted = 0, float("-inf")
        while True:
            try:
                report = await self._pods.report(address.host, seen=seen, wait=POLL_SECONDS if seen else 0)
                seen, now = report.revision, Pod(address.name, report)
            except Unreachable as error:
                seen, now = 0, Pod(address.name, fault=str(error))
            self._take(target, followed, now)
            if now.report and time.monotonic() - counted > RECORDED_SECONDS:
                counted = time.monotonic()
                with suppress(Unreachable):  # counters may be late; they say nothing of what is served
                    followed.recorded = await self._pods.recorded(address.host)
            if now.report is None or not seen:
                await asyncio.sleep(RETRY_SECONDS)

    def _take(self, target: Key, followed: _Followed, now: Pod) -> None:
        changed = followed.pod != now and followed.answered.is_set()
        followed.pod = now
        followed.answered.set()
        if changed:
            self._changed(target)
