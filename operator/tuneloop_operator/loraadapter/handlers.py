"""One pass over a LoRAAdapter, and the watch that leads to it."""

from typing import Any

import kopf

from tuneloop_contracts.names import TRAINED_BY_ANNOTATION
from tuneloop_operator.api.kinds import ADAPTERS, FINE_TUNE_JOBS, TARGETS
from tuneloop_operator.context import Context
from tuneloop_operator.ledger.inputs import read_adapter
from tuneloop_operator.loraadapter.manifests import status
from tuneloop_operator.loraadapter.observe import observe
from tuneloop_operator.loraadapter.plan import plan
from tuneloop_operator.queue import Key
from tuneloop_operator.reporting import report

SECONDS_WHEN_READY, SECONDS_WHEN_NOT = 600.0, 15.0


async def reconcile(context: Context, key: Key) -> float | None:
    body = await context.kube.get(ADAPTERS, key.namespace, key.name)
    adapter = read_adapter(body) if body else None
    if body is None or adapter is None:
        context.metrics.forget(key)
        return None
    seen = await observe(context.kube, context.followers, adapter, key, context.now())
    readiness = plan(seen)
    context.metrics.adapter(key, readiness.reason)
    await report(
        context.kube, ADAPTERS, body, status(seen, readiness, body.get("status", {}), body["metadata"]["generation"], context.now())
    )
    return SECONDS_WHEN_READY if readiness.ready else SECONDS_WHEN_NOT


def watch(registry: kopf.OperatorRegistry, context: Context) -> None:
    """A LoRAAdapter moves in its target's pass; the job that trained it learns the revision it became."""

    @kopf.on.event(ADAPTERS.group, ADAPTERS.version, ADAPTERS.plural, registry=registry)
    async def adapter_changed(body: kopf.Body, namespace: str | None, name: str | None, type: str | None, **_: Any) -> None:
        key = Key(ADAPTERS.name, namespace or "", name or "")
        target = Key(TARGETS.name, key.namespace, body.get("spec", {}).get("targetRef", {}).get("name", ""))
        context.queue.add(key)
        context.queue.add(target)
        if job := body.get("metadata", {}).get("annotations", {}).get(TRAINED_BY_ANNOTATION):
            context.queue.add(Key(FINE_TUNE_JOBS.name, key.namespace, job))
        if type == "DELETED":
            return context.references.forget(key)
        context.references.set(key, frozenset({target}))
