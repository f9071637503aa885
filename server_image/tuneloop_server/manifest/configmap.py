"""The manifest as a ConfigMap: listed, then watched, again and again."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Never

import aiohttp
from kubernetes.aio import client, config

from tuneloop_contracts.manifest import MANIFEST_KEY
from tuneloop_server.manifest.source import EMPTY, BadManifest, Deliver, parse

log = logging.getLogger(__name__)

_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
WATCH_SECONDS = 60
"""After which the API server ends a watch, and we begin another."""
CALL_SECONDS = WATCH_SECONDS + 15.0
"""A call that lasts longer is a dead connection. The client takes one number here, so a watch must be short for its death to be seen."""
FIRST_RETRY, LAST_RETRY = 0.2, 10.0
"""Seconds after the API server was out of reach; doubling."""


class NotPermitted(Exception):
    """The service account lacks the Role."""


def in_cluster(env: Mapping[str, str]) -> bool:
    return "KUBERNETES_SERVICE_HOST" in env and _TOKEN.exists()


async def follow_configmap(namespace: str, name: str, deliver: Deliver) -> Never:
    """With the pod's service account. Raises NotPermitted."""
    configuration = client.Configuration()
    config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    async with client.ApiClient(configuration) as api:
        await follow_with(client.CoreV1Api(api), namespace, name, deliver)
    raise AssertionError("a watch is always begun again")


async def follow_with(api: Any, namespace: str, name: str, deliver: Deliver) -> Never:
    """Deliver the ConfigMap's manifest, or the empty one while there is none, then each change; through every kind of interruption
    but a missing permission (NotPermitted). A ConfigMap that is deleted or broken changes nothing until it is back."""
    delay = FIRST_RETRY
    while True:
        try:
            await _list_and_watch(api, namespace, name, deliver)
            delay = FIRST_RETRY
        except (client.ApiException, aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            if getattr(error, "status", None) in (401, 403):
                raise NotPermitted from error
            log.warning("the watch of ConfigMap %s/%s broke off (%s); again in %.1f s", namespace, name, type(error).__name__, delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LAST_RETRY)


async def _list_and_watch(api: Any, namespace: str, name: str, deliver: Deliver) -> None:
    """Until the API server ends the watch. The selector by name is what lets a Role with resourceNames allow it."""
    chosen = {"namespace": namespace, "field_selector": f"metadata.name={name}"}
    found = await api.list_namespaced_config_map(**chosen, _request_timeout=CALL_SECONDS)
    if not found.items:
        deliver(EMPTY)
    for item in found.items:
        _hand_over(item.data, item.metadata.resource_version, deliver)
    response = await api.list_namespaced_config_map_without_preload_content(
        **chosen,
        watch=True,
        allow_watch_bookmarks=True,
        resource_version=found.metadata.resource_version,
        timeout_seconds=WATCH_SECONDS,
        _request_timeout=CALL_SECONDS,
    )
    try:
        async for event in _events(response):
            if event["type"] in ("ADDED", "MODIFIED"):
                _hand_over(event["object"].get("data"), event["object"]["metadata"]["resourceVersion"], deliver)
            elif event["type"] == "ERROR":
                return  # mostly 410: our place in the history is gone; the next list starts afresh
    finally:
        response.close()


async def _events(response: Any) -> AsyncIterator[dict[str, Any]]:
    """One JSON object a line; the client's own Watch gives up on lines of 64 KiB, which a manifest may exceed."""
    if response.status in (401, 403):
        raise NotPermitted
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _hand_over(data: Mapping[str, str] | None, resource_version: str, deliver: Deliver) -> None:
    try:
        deliver(parse((data or {}).get(MANIFEST_KEY, ""), resource_version))
    except BadManifest as error:
        log.error("the adapter manifest cannot be used: %s", error)
        deliver(EMPTY)
