"""Tasks that must go on for as long as a server does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tuneloop_server.errors import without_texts

log = logging.getLogger(__name__)

PAUSE = 5.0
"""Seconds until a task that ended is begun again."""


async def kept_up(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Until cancelled. What a task did not foresee must not leave a pod that answers, but hears of no adapters and records nothing."""
    while True:
        try:
            await work()
        except Exception as error:
            log.critical("the %s task broke: %s", name, without_texts(error))
        else:
            log.critical("the %s task ended", name)
        await asyncio.sleep(PAUSE)
