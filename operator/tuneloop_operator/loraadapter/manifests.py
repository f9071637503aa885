"""The status of a LoRAAdapter: a projection of its entry in the ledger, and of what the pods report. Pure."""

from datetime import datetime
from typing import Any

from tuneloop_operator.api.conditions import Readiness, set_conditions
from tuneloop_operator.api.loraadapter import FailedPod, LoRAAdapterStatus, PodsStatus, RevisionStatus
from tuneloop_operator.ledger.model import Entry
from tuneloop_operator.loraadapter.plan import conditions, failures, loaded_on, watched_revision
from tuneloop_operator.loraadapter.snapshot import Snapshot

MOST_FAILED_SHOWN = 10
REMEMBERED = ("revisions", "rolledBackTo")
"""All that a ledger is rebuilt from."""


def status(seen: Snapshot, readiness: Readiness, old: dict[str, Any], generation: int, now: datetime) -> dict[str, Any]:
    """Without an entry the old revisions stay: the ledger is rebuilt from them. Without a target none of them serves."""
    kept = old if seen.target else {field: old[field] for field in REMEMBERED if field in old}
    projected = (_of_entry(seen, seen.entry).to_wire() if seen.entry else kept) | {"observedGeneration": generation}
    said = set_conditions(old.get("conditions", []), conditions(seen, readiness), generation=generation, now=now)
    return projected | {"conditions": said}


def _of_entry(seen: Snapshot, entry: Entry) -> LoRAAdapterStatus:
    blocked = seen.note is not None and seen.note.blocks
    return LoRAAdapterStatus(
        active=entry.active.name if entry.active and not blocked else None,
        candidate=entry.candidate.name if entry.candidate else None,
        weight=0 if entry.candidate else None,
        pods=_pods(seen, entry),
        rolled_back_to=entry.rolled_back_to or None,
        revisions=tuple(
            RevisionStatus(
                name=r.name, digest=r.digest, uri=r.uri, fine_tune_job=r.fine_tune_job, state=r.state, since=r.since, reason=r.reason
            )
            for r in entry.revisions
        ),
    )


def _pods(seen: Snapshot, entry: Entry) -> PodsStatus:
    revision = watched_revision(entry)
    failed = [
        FailedPod(pod=pod.name, reason=said.reason.value if said.reason else "LoadFailed", message=said.message[:300])
        for pod, said in failures(seen.pods, revision)
    ]
    return PodsStatus(
        desired=len(seen.pods),
        loaded=loaded_on(seen.pods, revision),
        failed_count=len(failed),
        failed=tuple(failed[:MOST_FAILED_SHOWN]),
    )
