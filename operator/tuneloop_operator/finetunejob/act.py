"""Carries out what a plan decided: each act is create-or-get, safe to repeat after a crash anywhere."""

import asyncio
import contextlib
import logging

from tuneloop_contracts.names import DATA_UNTIL_ANNOTATION, TARGET_LABEL, TRAINED_BY_ANNOTATION, adapter_name
from tuneloop_operator.api.kinds import ADAPTERS, JOBS, SERVICES, Object
from tuneloop_operator.clients.errors import AlreadyExists, FieldOwned, Stale
from tuneloop_operator.clients.kube import AGENT, Kube
from tuneloop_operator.finetunejob import manifests, rendezvous
from tuneloop_operator.finetunejob.actions import Action, CreateHarvest, CreateTrain, DeleteJob, Publish, SetSuspend
from tuneloop_operator.finetunejob.observe import rival
from tuneloop_operator.finetunejob.snapshot import MANAGER, Snapshot, read_adapter
from tuneloop_operator.settings import Settings

log = logging.getLogger(__name__)

_beginning = asyncio.Lock()
"""Looking whether another trains and beginning to is one step too."""
_publishing = asyncio.Lock()
"""Looking at what is set and setting something newer is one step: two jobs of one target may end together."""


async def act(kube: Kube, settings: Settings, seen: Snapshot, action: Action) -> None:
    match action:
        case CreateHarvest(window, target):
            await _create(kube, manifests.harvest_job(seen, target, settings, window))
        case CreateTrain(dataset, target):
            if seen.spec.pods.nodes > 1:
                await _create_service(kube, rendezvous.service(seen))
            async with _beginning:
                if other := await rival(kube, seen):
                    raise Stale(f"FineTuneJob {seen.namespace}/{other} has just begun to train")
                await _create(kube, manifests.train_job(seen, target, settings, dataset))
        case SetSuspend(job, suspend):
            change = {"metadata": {"uid": job.uid}, "spec": {"suspend": suspend}}
            await kube.patch(JOBS, seen.namespace, job.name, change)
        case DeleteJob(job):
            await kube.delete(JOBS, seen.namespace, job.name, job.uid)
        case Publish():
            async with _publishing:
                await _publish(kube, seen, action)


async def _create(kube: Kube, job: Object) -> None:
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    try:
        await kube.create(JOBS, namespace, job)
        log.info("Job %s/%s created", namespace, name)
    except AlreadyExists:
        raise Stale(f"Job {namespace}/{name} exists already") from None  # the next pass sees whose it is


async def _create_service(kube: Kube, service: Object) -> None:
    """One that is there already is ours, of an earlier try, or will be missed by name: the pods then say so."""
    with contextlib.suppress(AlreadyExists):
        await kube.create(SERVICES, service["metadata"]["namespace"], service)


async def _publish(kube: Kube, seen: Snapshot, publish: Publish) -> None:
    """Only the artifact, under our own field manager; the rest of a LoRAAdapter belongs to whoever made it."""
    known = seen.published_to(publish.adapter.domain)
    name = known.name if known else adapter_name(seen.spec.target_ref.name, publish.adapter.domain)
    found = await kube.get(ADAPTERS, seen.namespace, name)
    if found is None:
        found = await _create_adapter(kube, seen, name, publish.adapter.domain)
    there = read_adapter(found)
    if seen.is_another(there, publish.adapter.domain):
        raise Stale(f"LoRAAdapter {seen.namespace}/{name} is about another target or domain")
    if there.is_newer(seen.name, publish.until):
        raise Stale(f"LoRAAdapter {seen.namespace}/{name} has got newer data meanwhile")
    try:
        await kube.apply(ADAPTERS, seen.namespace, name, artifact(seen, name, publish), MANAGER)
        log.info("LoRAAdapter %s/%s: artifact of FineTuneJob %s set", seen.namespace, name, seen.name)
    except FieldOwned:
        raise Stale(f"LoRAAdapter {seen.namespace}/{name}: its artifact is managed elsewhere") from None


async def _create_adapter(kube: Kube, seen: Snapshot, name: str, domain: str) -> Object:
    """Applied, not created: so no default becomes ours, and Git may set it without a conflict."""
    body = {
        "apiVersion": ADAPTERS.api_version,
        "kind": ADAPTERS.name,
        "metadata": {"name": name, "namespace": seen.namespace, "labels": {TARGET_LABEL: seen.spec.target_ref.name}},
        "spec": {
            "targetRef": {"name": seen.spec.target_ref.name},
            "domain": domain,
            "rollout": {"strategy": seen.spec.publish.rollout.strategy},
        },
    }
    try:
        return await kube.apply(ADAPTERS, seen.namespace, name, body, AGENT)
    except FieldOwned:
        raise Stale(f"LoRAAdapter {seen.namespace}/{name} has just been made by somebody else") from None


def artifact(seen: Snapshot, name: str, publish: Publish) -> Object:
    """All that a job says of a LoRAAdapter."""
    marks = {TRAINED_BY_ANNOTATION: seen.name, DATA_UNTIL_ANNOTATION: publish.until}
    return {
        "apiVersion": ADAPTERS.api_version,
        "kind": ADAPTERS.name,
        "metadata": {"name": name, "namespace": seen.namespace, "annotations": marks},
        "spec": {"artifact": {"uri": publish.adapter.uri, "digest": publish.adapter.digest}},
    }
