"""Decides what to say of a LoRAAdapter. RULES in order: the first that speaks decides what Ready says."""

from collections.abc import Callable, Iterator

from tuneloop_contracts.pods import AdapterReport, AdapterState
from tuneloop_operator.api.conditions import Condition, Readiness, kstatus
from tuneloop_operator.api.loraadapter import RevisionState
from tuneloop_operator.ledger.inputs import Pod
from tuneloop_operator.ledger.model import Entry, Revision
from tuneloop_operator.loraadapter.snapshot import Snapshot

Rule = Callable[[Snapshot, Entry], Readiness | None]


def cannot_speak(seen: Snapshot, entry: Entry) -> Readiness | None:
    if seen.note is None or not seen.note.needs_edit:
        return None
    return Readiness(False, seen.note.reason, seen.note.message, needs_edit=True)


def suspended(seen: Snapshot, entry: Entry) -> Readiness | None:
    if not seen.adapter.spec.suspend:
        return None
    return Readiness(True, "Suspended", f"{_name(entry.active)} stays as it is, whatever the spec says")


def no_artifact_yet(seen: Snapshot, entry: Entry) -> Readiness | None:
    """What the spec asks for is so: the base answers. Not ready would hold up whoever applied it, for ever."""
    if seen.adapter.spec.artifact is not None:
        return None
    return Readiness(True, "NoArtifactYet", "spec.artifact is not set, so the base answers; a FineTuneJob or an edit sets it")


def candidate_waits(seen: Snapshot, entry: Entry) -> Readiness | None:
    candidate = entry.candidate
    if candidate is None:
        return None
    if seen.note and seen.note.reason == "NoCapacity":
        return Readiness(False, seen.note.reason, seen.note.message)
    if not seen.pods:
        return Readiness(False, "NoReadyPods", f"{candidate.name} waits for a ready pod of the target")
    for pod, said in failures(seen.pods, candidate):
        return Readiness(False, said.reason or "LoadFailed", f"{candidate.name} is awaited on pod {pod.name}: {said.message}")
    return Readiness(False, "Loading", f"{candidate.name} is loaded on {loaded_on(seen.pods, candidate)} of {len(seen.pods)} ready pods")


def refused(seen: Snapshot, entry: Entry) -> Readiness | None:
    revision = _refused(entry)
    if revision is None:
        return None
    message = f"{revision.name} was refused ({revision.reason}): {revision.message or 'see status.revisions'}; {_serves(entry)}"
    return Readiness(False, revision.reason or "Refused", message, needs_edit=True)


def pods_failed(seen: Snapshot, entry: Entry) -> Readiness | None:
    for pod, said in failures(seen.pods, entry.active):
        return Readiness(False, said.reason or "LoadFailed", f"{_name(entry.active)} failed on pod {pod.name}: {said.message}")
    return None


def not_taken_up(seen: Snapshot, entry: Entry) -> Readiness | None:
    if entry.active is not None:
        return None
    return Readiness(False, "Pending", "the target has not taken the artifact up yet")


def still_loading(seen: Snapshot, entry: Entry) -> Readiness | None:
    loaded = loaded_on(seen.pods, entry.active)
    if seen.pods and loaded == len(seen.pods):
        return None
    reason = "Loading" if seen.pods else "NoReadyPods"
    return Readiness(False, reason, f"{_name(entry.active)} is loaded on {loaded} of {len(seen.pods)} ready pods")


def rolled_back(seen: Snapshot, entry: Entry) -> Readiness | None:
    held = _held(entry, RevisionState.ROLLED_BACK)
    if held is None:
        return None
    return Readiness(True, "RolledBack", f"{_serves(entry)}; {held.name} was rolled back and stays so until the spec names another digest")


RULES: tuple[Rule, ...] = (
    cannot_speak,
    suspended,
    no_artifact_yet,
    candidate_waits,
    refused,
    pods_failed,
    not_taken_up,
    still_loading,
    rolled_back,
)


def plan(seen: Snapshot) -> Readiness:
    if seen.target is None:
        name = seen.adapter.spec.target_ref.name
        return Readiness(False, "TargetNotFound", f"there is no InferenceTarget {name} in this namespace")
    entry = seen.entry or Entry(uid=seen.adapter.uid, domain=seen.adapter.spec.domain)
    for rule in RULES:
        if readiness := rule(seen, entry):
            return readiness
    return Readiness(True, "Serving", f"{_serves(entry)} on {len(seen.pods)} of {len(seen.pods)} ready pods")


def conditions(seen: Snapshot, readiness: Readiness) -> Iterator[Condition]:
    """Ready and its kin, then what is true of the domain whatever Ready says."""
    entry = seen.entry or Entry(uid=seen.adapter.uid, domain=seen.adapter.spec.domain)
    yield from kstatus(readiness)
    available = bool(entry.active and loaded_on(seen.pods, entry.active)) and not (seen.note and seen.note.blocks)
    reason, message = ("Serving", _serves(entry)) if available else (readiness.reason, readiness.message)
    yield Condition("Available", available, reason, message)
    yield _progressing(seen, entry, readiness)
    bad = refused(seen, entry) or pods_failed(seen, entry)
    yield Condition("Degraded", bad is not None, bad.reason if bad else "AsWanted", bad.message if bad else "")


def _progressing(seen: Snapshot, entry: Entry, readiness: Readiness) -> Condition:
    if seen.note and seen.note.reason == "UnknownRevision":
        return Condition("Progressing", False, seen.note.reason, seen.note.message)
    if entry.candidate:
        return Condition("Progressing", True, readiness.reason, readiness.message)
    return Condition("Progressing", False, "Settled")


def watched_revision(entry: Entry) -> Revision | None:
    """The newest wanted: whose pods the status counts."""
    return entry.candidate or _refused(entry) or entry.active


def _refused(entry: Entry) -> Revision | None:
    """What the spec asks for, or the revision that somebody wanted to go back to."""
    asked = entry.find(name=entry.rolled_back_to)
    return _held(entry, RevisionState.REFUSED) or (asked if asked and asked.state == RevisionState.REFUSED else None)


def _held(entry: Entry, state: RevisionState) -> Revision | None:
    return next((r for r in entry.revisions if entry.held and r.digest == entry.held and r.state == state), None)


def failures(pods: tuple[Pod, ...], revision: Revision | None) -> Iterator[tuple[Pod, AdapterReport]]:
    for pod in pods:
        said = pod.says(revision.name, revision.digest) if revision else None
        if said and said.state == AdapterState.FAILED:
            yield pod, said


def loaded_on(pods: tuple[Pod, ...], revision: Revision | None) -> int:
    said = [pod.says(revision.name, revision.digest) for pod in pods] if revision else []
    return sum(report is not None and report.state == AdapterState.LOADED for report in said)


def _name(revision: Revision | None) -> str:
    return revision.name if revision else "the base"


def _serves(entry: Entry) -> str:
    return f"{_name(entry.active)} serves"
