"""One pass over a FineTuneJob, and the watches that lead to it."""

from typing import Any

import kopf

from tuneloop_contracts.names import JOB_LABEL
from tuneloop_operator.api.finetunejob import FineTuneJobSpec, Stage
from tuneloop_operator.api.kinds import FINE_TUNE_JOBS, JOBS, PODS, TARGETS
from tuneloop_operator.api.model import InvalidSpec
from tuneloop_operator.clients.errors import NeedsEdit, Rejected
from tuneloop_operator.context import Context
from tuneloop_operator.finetunejob.act import act
from tuneloop_operator.finetunejob.decision import Plan, refused
from tuneloop_operator.finetunejob.facts import seconds_to_expiry
from tuneloop_operator.finetunejob.observe import observe
from tuneloop_operator.finetunejob.plan import plan
from tuneloop_operator.finetunejob.snapshot import Snapshot
from tuneloop_operator.finetunejob.stages import is_end
from tuneloop_operator.finetunejob.status import status, throttled
from tuneloop_operator.queue import Key
from tuneloop_operator.reporting import report, report_invalid

SECONDS_WHEN_WAITING, SECONDS_WHEN_SUSPENDED, SECONDS_AFTER_ACTS = 15.0, 600.0, 0.2


async def reconcile(context: Context, key: Key) -> float | None:
    body = await context.kube.get(FINE_TUNE_JOBS, key.namespace, key.name)
    if body is None or "deletionTimestamp" in body["metadata"]:
        context.metrics.forget(key)
        return None
    try:
        spec = FineTuneJobSpec.parse(body["spec"])
    except InvalidSpec as error:
        await report_invalid(context.kube, FINE_TUNE_JOBS, body, str(error), context.now())
        return None
    seen = await observe(context.kube, context.inbox, key, body, spec, context.now())
    decided = plan(seen, context.settings)
    try:
        for action in decided.actions:
            await act(context.kube, context.settings, seen, action)
    except NeedsEdit as error:
        decided = refused(decided, error, for_good=isinstance(error, Rejected))
    context.metrics.job(key, decided.state.stage.value)
    old = body.get("status", {})
    new, again = throttled(status(seen, decided, old, body["metadata"]["generation"]), old, seen.now)
    await report(context.kube, FINE_TUNE_JOBS, body, new)
    if decided.ends:
        _forget_posts(context, seen)
    return again if again is not None else _next_look(seen, decided)


def _next_look(seen: Snapshot, decided: Plan) -> float | None:
    """An end needs none but to delete its Jobs; the revisions that LoRAAdapters make of its adapters come as events."""
    if decided.actions:
        return SECONDS_AFTER_ACTS
    if not decided.ends:
        return SECONDS_WHEN_SUSPENDED if decided.state.stage == Stage.SUSPENDED else SECONDS_WHEN_WAITING
    return seconds_to_expiry(seen)


def _forget_posts(context: Context, seen: Snapshot) -> None:
    for job in (seen.harvest, seen.train):
        if job:
            context.inbox.forget(job.uid)


def watch(registry: kopf.OperatorRegistry, context: Context) -> None:
    """FineTuneJobs, and the Jobs and pods that carry their name in a label. What has ended is not woken by its target any more."""

    @kopf.on.event(FINE_TUNE_JOBS.group, FINE_TUNE_JOBS.version, FINE_TUNE_JOBS.plural, registry=registry)
    async def job_changed(body: kopf.Body, namespace: str | None, name: str | None, type: str | None, **_: Any) -> None:
        key = Key(FINE_TUNE_JOBS.name, namespace or "", name or "")
        context.queue.add(key)
        if type == "DELETED":
            return context.references.forget(key)
        target = Key(TARGETS.name, key.namespace, body.get("spec", {}).get("targetRef", {}).get("name", ""))
        if type == "ADDED":  # its status says when it last had a job
            context.queue.add(target)
        over = is_end(body.get("status", {}).get("stage"))
        context.references.set(key, frozenset() if over else frozenset({target}))

    async def owned_changed(labels: kopf.Labels, namespace: str | None, **_: Any) -> None:
        context.queue.add(Key(FINE_TUNE_JOBS.name, namespace or "", labels[JOB_LABEL]))

    kopf.on.event(JOBS.group, JOBS.version, JOBS.plural, registry=registry, labels={JOB_LABEL: kopf.PRESENT})(owned_changed)
    kopf.on.event(PODS.version, PODS.plural, registry=registry, labels={JOB_LABEL: kopf.PRESENT})(owned_changed)
