"""Figures on their way to the run trackers, on a thread of its own: one that is slow, away or broken never stops a training."""

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence

from tuneloop_trainer.trackers import Figures, Kind, Run, Tracker, wanted

log = logging.getLogger("tuneloop")

PATIENCE = 30.0
"""Seconds, at the end, for what is still on its way."""
_LONGEST_QUEUE = 10_000


class Tracking:
    """Nothing happens before `begin`, nor without a tracker in the environment."""

    def __init__(self, kinds: Sequence[Kind] = (), env: Mapping[str, str] | None = None) -> None:
        self._kinds, self._env = kinds, env or {}
        self._work: queue.Queue[Callable[[Tracker], None] | None] = queue.Queue(_LONGEST_QUEUE)
        self._thread: threading.Thread | None = None
        self._urls: list[str] = []

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Tracking":
        return cls(wanted(env), env)

    def begin(self, run: Run) -> None:
        if self._kinds:
            self._thread = threading.Thread(target=self._follow, args=(run,), daemon=True, name="tracking")
            self._thread.start()

    def log(self, figures: Figures, step: int) -> None:
        """Dropped where the trackers are too slow to take it."""
        if self._thread and not self._work.full():
            self._work.put_nowait(lambda tracker: tracker.log(figures, step))

    def end(self) -> str:
        """Where people see the run: of the first tracker that has such a place."""
        if self._thread:
            with contextlib.suppress(queue.Full):
                self._work.put(None, timeout=PATIENCE)
            self._thread.join(PATIENCE)
        return next((url for url in self._urls if url), "")

    def _follow(self, run: Run) -> None:
        trackers = [tracker for kind in self._kinds if (tracker := self._begun(kind, run))]
        while work := self._work.get():
            trackers = [tracker for tracker in trackers if _done(tracker, work)]
        for tracker in trackers:
            _done(tracker, lambda tracker: tracker.end())

    def _begun(self, kind: Kind, run: Run) -> Tracker | None:
        try:
            tracker = kind.begin(run, self._env)
        except Exception as error:
            log.warning("tracking: %s does not take the run (%s)", kind.library, type(error).__name__)
            return None
        self._urls.append(tracker.url)
        return tracker


def _done(tracker: Tracker, work: Callable[[Tracker], None]) -> bool:
    """One that fails once is asked no more."""
    try:
        work(tracker)
    except Exception as error:
        log.warning("tracking: %s failed (%s) and gets no more", type(tracker).__name__, type(error).__name__)
        return False
    return True
