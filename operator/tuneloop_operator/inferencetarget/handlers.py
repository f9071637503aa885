"""One pass over an InferenceTarget, and the watches that lead to it."""

import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import kopf

from tuneloop_contracts.durations import parse_duration
from tuneloop_contracts.names import TARGET_LABEL
from tuneloop_operator.api.conditions import Readiness, parse_time
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.kinds import ADAPTERS, CONFIG_MAPS, DEPLOYMENTS, FINE_TUNE_JOBS, TARGETS, Object
from tuneloop_operator.api.model import InvalidSpec
from tuneloop_operator.clients.errors import AlreadyExists
from tuneloop_operator.context import Context
from tuneloop_operator.inferencetarget import autotrain, manifests
from tuneloop_operator.inferencetarget.act import ConfigMapRefused, keep_config_map
from tuneloop_operator.inferencetarget.observe import observe
from tuneloop_operator.inferencetarget.plan import plan
from tuneloop_operator.inferencetarget.snapshot import Snapshot
from tuneloop_operator.ledger.model import read_ledger
from tuneloop_operator.ledger.settle import SettleResult, settle
from tuneloop_operator.queue import Key
from tuneloop_operator.reporting import report, report_invalid

log = logging.getLogger(__name__)

COUNTERS = {"recorded", "lastJobTime"}
"""Of a target's status, what moves all the time and what its jobs and adapters do not look at."""
SECONDS_WHEN_READY, SECONDS_WHEN_NOT = 30.0, 5.0
"""Until the next look: counters of recorded interactions, and things outside that nothing watches, such as a claim."""


async def reconcile(context: Context, key: Key) -> float | None:
    body = await context.kube.get(TARGETS, key.namespace, key.name)
    if body is None or "deletionTimestamp" in body["metadata"]:
        context.followers.forget(key)
        wake_dependents(context, key)
        return None
    try:
        spec = InferenceTargetSpec.parse(body["spec"])
    except InvalidSpec as error:
        await report_invalid(context.kube, TARGETS, body, str(error), context.now())
        return None
    seen = await observe(context.kube, context.followers, key, body, spec, context.now())
    readiness = plan(seen)
    settled = settle(spec, seen.uid, seen.adapters, read_ledger((seen.config_map or {}).get("data", {})), seen.pods, context.now())
    readiness, wrote = await _keep(context, seen, readiness, settled)
    old, generation = body.get("status", {}), body["metadata"]["generation"]
    status = manifests.status(seen, readiness, settled.manifest, context.followers.recorded(key), old, generation, context.now())
    if await report(context.kube, TARGETS, body, status) - COUNTERS or wrote:
        wake_dependents(context, key)
    if not readiness.ready:
        return SECONDS_WHEN_NOT
    return min(SECONDS_WHEN_READY, await _train_if_due(context, key, body, seen, status.get("lastJobTime")))


async def _keep(context: Context, seen: Snapshot, readiness: Readiness, settled: SettleResult) -> tuple[Readiness, bool]:
    """The ConfigMap is kept whatever the pods are like: they need it to become ready. Only a second target keeps none."""
    if seen.older_target:
        return readiness, False
    try:
        return readiness, await keep_config_map(context.kube, manifests.config_map(seen, settled.manifest, settled.ledger), seen.config_map)
    except ConfigMapRefused as why:
        return replace(readiness, ready=False, reason=why.reason, message=str(why), needs_edit=why.needs_edit), False


async def _train_if_due(context: Context, key: Key, body: Object, seen: Snapshot, newest_job: str | None) -> float:
    """Seconds until a job may be due."""
    text = context.settings.auto_training_interval
    if not text or not context.settings.enable_fine_tuning:
        return SECONDS_WHEN_READY
    interval, now = parse_duration(text), context.now()
    trained = autotrain.trained_at(newest_job, seen.adapters)
    rest = autotrain.due_in(parse_time(body["metadata"]["creationTimestamp"]), trained, interval, now).total_seconds()
    if rest > 0:
        return rest
    if autotrain.at_work(seen.jobs):
        return SECONDS_WHEN_READY
    with suppress(AlreadyExists):
        await context.kube.create(FINE_TUNE_JOBS, key.namespace, autotrain.fine_tune_job(key.name, key.namespace, now))
        log.info("%s: had no FineTuneJob for %s, so one was made", key, text)
    return SECONDS_WHEN_READY


def wake_dependents(context: Context, target: Key) -> None:
    for kind in (ADAPTERS, FINE_TUNE_JOBS):
        for dependent in context.references.pointing_at(target, kind.name):
            context.queue.add(dependent)


def watch(registry: kopf.OperatorRegistry, context: Context) -> None:
    """Targets; their Deployments; their ConfigMaps, so that one that was deleted or edited is mended."""

    @kopf.on.event(TARGETS.group, TARGETS.version, TARGETS.plural, registry=registry)
    async def target_changed(body: kopf.Body, namespace: str | None, name: str | None, type: str | None, **_: Any) -> None:
        key = Key(TARGETS.name, namespace or "", name or "")
        context.queue.add(key)
        if type == "DELETED":
            return context.references.forget(key)
        deployment = body.get("spec", {}).get("deploymentRef", {}).get("name", "")
        context.references.set(key, frozenset({Key(DEPLOYMENTS.name, key.namespace, deployment)}))

    @kopf.on.event(DEPLOYMENTS.group, DEPLOYMENTS.version, DEPLOYMENTS.plural, registry=registry)
    async def deployment_changed(namespace: str | None, name: str | None, **_: Any) -> None:
        for target in context.references.pointing_at(Key(DEPLOYMENTS.name, namespace or "", name or "")):
            context.queue.add(target)

    @kopf.on.event(CONFIG_MAPS.version, CONFIG_MAPS.plural, registry=registry, labels={TARGET_LABEL: kopf.PRESENT})
    async def config_map_changed(labels: kopf.Labels, namespace: str | None, **_: Any) -> None:
        target = Key(TARGETS.name, namespace or "", labels[TARGET_LABEL])
        context.queue.add(target)
        wake_dependents(context, target)
