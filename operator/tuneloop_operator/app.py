"""Puts the operator together and runs it until it is told to stop, or something that it stands on breaks."""

import asyncio
import datetime
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import kopf
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from tuneloop_contracts.names import GROUP, JOB_LABEL, TARGET_LABEL
from tuneloop_operator.api.kinds import ADAPTERS, CONFIG_MAPS, FINE_TUNE_JOBS, JOBS, PODS, TARGETS
from tuneloop_operator.clients.access import check_access
from tuneloop_operator.clients.kube import Kube, configuration
from tuneloop_operator.clients.lease import Lease
from tuneloop_operator.clients.pods import Pods
from tuneloop_operator.clients.token_reviews import TokenReviews
from tuneloop_operator.context import Context
from tuneloop_operator.finetunejob import handlers as fine_tune_jobs
from tuneloop_operator.inferencetarget import handlers as targets
from tuneloop_operator.inferencetarget.follow import PodFollowers
from tuneloop_operator.loraadapter import handlers as adapters
from tuneloop_operator.metrics import Metrics
from tuneloop_operator.probes import probes_app
from tuneloop_operator.progress.server import progress_app
from tuneloop_operator.queue import PASS_LIMIT, Key, WorkQueue
from tuneloop_operator.settings import Settings

log = logging.getLogger(__name__)

KINDS = {TARGETS.name: targets, FINE_TUNE_JOBS.name: fine_tune_jobs, ADAPTERS.name: adapters}


async def run(settings: Settings) -> None:
    """Returns when it was told to stop; raises what broke."""
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(Kube(await configuration()))
        pods = await stack.enter_async_context(Pods())
        context = make_context(settings, kube, pods)
        stack.callback(context.followers.stop)
        await stack.enter_async_context(served(probes_app(context.metrics, lambda: ailment(context.queue)), settings.probes_port))
        namespaces = await check_access(kube, settings.watch_namespaces)
        lease = Lease(kube, settings.pod_namespace, settings.pod_name)
        log.info("waiting for the Lease in %s", settings.pod_namespace)
        await lease.acquire()
        stack.push_async_callback(lease.release)
        kube.may_write = lease.is_ours
        log.info("this operator is the active one")
        await stack.enter_async_context(served(progress_app(TokenReviews(kube), context.inbox, context.queue), settings.progress_port))
        await first_of(watch(context, namespaces), context.queue.run(lambda key: reconcile(context, key)), lease.hold())


def make_context(settings: Settings, kube: Kube, pods: Pods) -> Context:
    metrics = Metrics()
    queue = WorkQueue(metrics.passed)
    metrics.watch_depth(lambda: len(queue))

    def changed(target: Key) -> None:
        queue.add(target)
        for adapter in context.references.pointing_at(target, ADAPTERS.name):
            queue.add(adapter)

    context = Context(settings, kube, queue, PodFollowers(pods, changed), metrics)
    return context


async def reconcile(context: Context, key: Key) -> float | None:
    again: float | None = await KINDS[key.kind].reconcile(context, key)
    return again


def ailment(queue: WorkQueue) -> str:
    stuck = queue.longest_pass()
    return f"a pass has been at work for {stuck:.0f} s" if stuck > 2 * PASS_LIMIT else ""


async def watch(context: Context, namespaces: Sequence[str]) -> None:
    """kopf, as a watcher only: no state handlers, so it writes nothing. Returns on SIGTERM; raises when a watch breaks."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login(context.kube.settings))
    for kind in KINDS.values():
        kind.watch(registry, context)
    await kopf.operator(
        registry=registry, settings=kopf_settings(), clusterwide=not namespaces, namespaces=namespaces, standalone=True, memo=kopf.Memo()
    )


def kopf_settings() -> kopf.OperatorSettings:
    """Nothing of kopf's own is written while there are no state handlers; its marks are renamed all the same."""
    settings = kopf.OperatorSettings()
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.posting.enabled = False
    settings.scanning.disabled = True  # the kinds are there from the start: check_access has looked
    settings.watching.server_timeout, settings.watching.client_timeout, settings.watching.connect_timeout = 600, 660, 10
    settings.watching.chunk_size = 500
    settings.watching.label_selectors[JOBS.group, JOBS.version, JOBS.plural] = JOB_LABEL
    settings.watching.label_selectors[PODS.version, PODS.plural] = JOB_LABEL
    settings.watching.label_selectors[CONFIG_MAPS.version, CONFIG_MAPS.plural] = TARGET_LABEL
    settings.networking.request_timeout, settings.networking.connect_timeout = 60, 10
    settings.execution.max_workers = 1  # no handler is synchronous
    return settings


def _login(config: Configuration) -> Any:
    """kopf logs in with what our own client uses; asked again after a 401, the service account's token has been renewed."""

    async def login(**_: Any) -> kopf.ConnectionInfo:
        header = await config.get_api_key_with_prefix("BearerToken")
        scheme, token = header.split(" ", 1) if header else ("", "")
        return kopf.ConnectionInfo(
            server=config.host,
            ca_path=config.ssl_ca_cert,
            insecure=not config.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=config.cert_file,
            private_key_path=config.key_file,
            expiration=datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10) if token else None,
        )

    return login


@asynccontextmanager
async def served(app: web.Application, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        yield
    finally:
        await runner.cleanup()


async def first_of(*parts: Any) -> None:
    """Runs them together; the first that ends, or breaks, ends all."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
