"""Gathers all that a pass over a FineTuneJob decides on."""

import asyncio
from dataclasses import replace
from datetime import datetime

from tuneloop_contracts.dataset import Dataset
from tuneloop_contracts.names import JOB_LABEL, STEP_LABEL, TARGET_LABEL
from tuneloop_operator.api.conditions import READY, find_condition, parse_time
from tuneloop_operator.api.finetunejob import FineTuneJobSpec, FineTuneJobStatus
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.kinds import ADAPTERS, FINE_TUNE_JOBS, JOBS, PODS, TARGETS, Object
from tuneloop_operator.api.model import InvalidSpec
from tuneloop_operator.clients.kube import Kube
from tuneloop_operator.finetunejob import facts
from tuneloop_operator.finetunejob.jobs import JobSnapshot, Trouble, job_name, read_job
from tuneloop_operator.finetunejob.snapshot import Snapshot, TargetSnapshot, read_adapter
from tuneloop_operator.finetunejob.training_order import trains_before
from tuneloop_operator.progress.inbox import Inbox
from tuneloop_operator.queue import Key


async def observe(kube: Kube, inbox: Inbox, key: Key, body: Object, spec: FineTuneJobSpec, now: datetime) -> Snapshot:
    harvest, train, pods, target, adapters = await asyncio.gather(
        kube.get(JOBS, key.namespace, job_name(key.name, "harvest")),
        kube.get(JOBS, key.namespace, job_name(key.name, "train")),
        kube.list(PODS, key.namespace, labels=f"{JOB_LABEL}={key.name}"),
        kube.get(TARGETS, key.namespace, spec.target_ref.name),
        kube.list(ADAPTERS, key.namespace),
    )
    uid = body["metadata"]["uid"]

    def read(job: Object | None) -> JobSnapshot | None:
        return read_job(job, pods, name=key.name, uid=uid, posted=inbox.report(job["metadata"]["uid"])) if job else None

    seen = Snapshot(
        name=key.name,
        namespace=key.namespace,
        uid=uid,
        created=parse_time(body["metadata"]["creationTimestamp"]),
        spec=spec,
        now=now,
        old=read_status(body),
        target=_target(target) if target else None,
        harvest=read(harvest),
        train=read(train),
        harvest_progress=inbox.progress(harvest["metadata"]["uid"]) if harvest else None,
        train_progress=inbox.progress(train["metadata"]["uid"]) if train else None,
        adapters={adapter["metadata"]["name"]: read_adapter(adapter) for adapter in adapters},
        referenced=await _referenced(kube, key, spec),
    )
    return replace(seen, rival=await rival(kube, seen)) if facts.may_train(seen) else seen


def read_status(body: Object) -> FineTuneJobStatus:
    """A status that cannot be read counts as lost."""
    try:
        return FineTuneJobStatus.parse(body.get("status", {}), "status")
    except InvalidSpec:
        return FineTuneJobStatus()


def _target(body: Object) -> TargetSnapshot | None:
    if "deletionTimestamp" in body["metadata"]:
        return None
    try:
        spec = InferenceTargetSpec.parse(body["spec"])
    except InvalidSpec:
        return None
    status, uid = body.get("status", {}), body["metadata"]["uid"]
    ready = find_condition(status, READY)
    if ready is None or status.get("observedGeneration", 0) < body["metadata"]["generation"]:
        return TargetSnapshot(spec, Trouble("TargetNotReady", "the target has not been looked at yet"), uid=uid)
    trouble = None if ready["status"] == "True" else Trouble(ready["reason"], ready["message"])
    return TargetSnapshot(spec, trouble, status.get("baseDigest", ""), uid, status.get("maxLoraRank", 0))


async def rival(kube: Kube, seen: Snapshot) -> str:
    """As in Snapshot."""
    of_target = f"{TARGET_LABEL}={seen.spec.target_ref.name},{STEP_LABEL}=train"
    jobs, trainings = await asyncio.gather(kube.list(FINE_TUNE_JOBS, seen.namespace), kube.list(JOBS, seen.namespace, labels=of_target))
    dataset = facts.dataset(seen)
    return trains_before(seen.uid, dataset.trainable if dataset else (), jobs, trainings)


async def _referenced(kube: Kube, key: Key, spec: FineTuneJobSpec) -> Dataset | None:
    wanted = spec.data.dataset_ref
    if wanted is None:
        return None
    collected = [read_status(job).dataset for job in await kube.list(FINE_TUNE_JOBS, key.namespace)]
    here = [dataset for dataset in collected if dataset and dataset.uri == wanted.uri]
    return next((dataset for dataset in here if dataset.digest == wanted.digest), here[0] if here else None)
