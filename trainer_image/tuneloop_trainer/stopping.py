"""SIGTERM: a pod that is preempted has some seconds left, and what can be kept in them is not trained twice."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

GRACE = 25.0
"""Seconds; the kubelet kills after 30 (terminationGracePeriodSeconds)."""
EXIT_CODE = 128 + signal.SIGTERM


class Stop:
    """Whether the process was asked to stop. Whoever has something to keep looks at `asked`, keeps it, and leaves by SystemExit."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._keeps = False

    def exit_on_sigterm(self) -> None:
        """As process 1 of a pod SIGTERM would be ignored, and a handler in Python waits for the end of a step's backward pass, which
        may take minutes. The signal's byte in a pipe reaches a thread at once; it ends the process, at the latest after GRACE."""
        readable, writable = os.pipe()
        os.set_blocking(writable, False)
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        threading.Thread(target=self._wait, args=(readable,), daemon=True, name="sigterm").start()

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """While there is work that would be lost."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False

    def _wait(self, readable: int) -> None:
        while (received := os.read(readable, 1)) and received[0] != signal.SIGTERM:
            pass
        self.asked.set()
        if self._keeps:
            threading.Event().wait(GRACE)
        os._exit(EXIT_CODE)
