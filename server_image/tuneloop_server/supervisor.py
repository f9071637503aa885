"""Tasks that must go on for as long as a server does."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from tuneloop_server.errors import without_texts

log = logging.getLogger(__name__)

FIRST_PAUSE, LAST_PAUSE = 5.0, 300.0
"""Seconds until a task that ended is begun again; doubling while it ends sooner than LAST_PAUSE after its beginning."""


async def supervise(
    name: str, work: Callable[[], Awaitable[None]], on_ended: Callable[[], None], clock: Callable[[], float] = time.monotonic
) -> None:
    """Until cancelled. What a task did not foresee must not leave a pod that answers, but hears of no adapters and records nothing.
    One that always breaks is told by `on_ended`, and by the log ever more rarely. It does not end the pod: what breaks a task may break it
    in every pod, and answers without it are better than none."""
    pause = FIRST_PAUSE
    while True:
        began = clock()
        try:
            await work()
        except Exception as error:
            log.critical("the %s task broke: %s", name, without_texts(error))
        else:
            log.critical("the %s task ended", name)
        on_ended()
        if clock() - began >= LAST_PAUSE:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(2 * pause, LAST_PAUSE)
