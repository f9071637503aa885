"""Whose turn it is to train. Pure.

A candidate is judged by what serves when its training begins. Were two jobs to train a domain at a time, the later would be judged by what
the earlier is about to replace. One that was suspended by hand lets others by: what it ends with is older than theirs.
"""

import json
from collections.abc import Collection, Sequence

from tuneloop_contracts.dataset import Dataset
from tuneloop_operator.api.kinds import Object
from tuneloop_operator.api.owners import controller_of
from tuneloop_operator.finetunejob.jobs import QUEUE_LABEL, config_of
from tuneloop_operator.finetunejob.stages import is_end


def trains_before(uid: str, domains: Collection[str], jobs: Sequence[Object], trainings: Sequence[Object]) -> str:
    """The other FineTuneJob that has begun to train one of these domains and has not ended; "" if there is none. No domains: not known.

    `jobs`: the FineTuneJobs of the namespace; `trainings`: the training Jobs of the target.
    """
    at_work = {job["metadata"]["uid"]: job["metadata"]["name"] for job in jobs if not is_end(job.get("status", {}).get("stage"))}
    for training in trainings:
        rival = controller_of(training).get("uid", "")
        if rival != uid and rival in at_work and not _is_held(training) and _meet(domains, _domains(training)):
            return str(at_work[rival])
    return ""


def _is_held(training: Object) -> bool:
    return bool(training["spec"].get("suspend")) and QUEUE_LABEL not in training["metadata"].get("labels", {})


def _domains(training: Object) -> Collection[str]:
    text = config_of(training["spec"])
    return Dataset.model_validate(json.loads(text)["dataset"]).trainable if text else ()


def _meet(some: Collection[str], others: Collection[str]) -> bool:
    return not some or not others or not set(some).isdisjoint(others)
