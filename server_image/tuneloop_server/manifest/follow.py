"""Where this pod learns its manifest from."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Never

from tuneloop_contracts.names import manifest_configmap
from tuneloop_server.manifest.configmap import NotPermitted, follow_configmap, in_cluster
from tuneloop_server.manifest.file import follow_file
from tuneloop_server.manifest.source import EMPTY, Deliver

log = logging.getLogger(__name__)

ASK_AGAIN = 30.0
"""Seconds until a watch that was not permitted is tried again."""


async def follow(target: str, file: Path | None, env: Mapping[str, str], deliver: Deliver) -> Never:
    """The ConfigMap where it can be watched, else the file, else nothing: the base alone."""
    namespace, name = target.split("/")
    while in_cluster(env):
        try:
            await follow_configmap(namespace, manifest_configmap(name), deliver)
        except NotPermitted:
            log.warning(how_to_permit(namespace, manifest_configmap(name), file))
        await _meanwhile(file, deliver)
    await _without_cluster(file, deliver)
    raise AssertionError("following a file never ends")


def how_to_permit(namespace: str, configmap: str, file: Path | None) -> str:
    """For the log: what to do, and what happens until then."""
    until_then = f"following {file}" if file else "no adapters"
    return (
        f"this pod may not watch ConfigMap {namespace}/{configmap}. Give its service account a Role with verbs get, list, watch on "
        f"configmaps, resourceNames [{configmap}], or mount it and set MANIFEST_FILE. Until then: {until_then}"
    )


async def _meanwhile(file: Path | None, deliver: Deliver) -> None:
    try:
        async with asyncio.timeout(ASK_AGAIN):
            await _without_cluster(file, deliver)
    except TimeoutError:
        return


async def _without_cluster(file: Path | None, deliver: Deliver) -> None:
    if file:
        await follow_file(file, deliver)
    deliver(EMPTY)
    await asyncio.Event().wait()
