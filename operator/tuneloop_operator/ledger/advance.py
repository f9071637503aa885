"""One LoRAAdapter's revisions, a step on. Each step is a small pure function; STEPS is the order in which they are taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tuneloop_contracts.durations import parse_duration
from tuneloop_contracts.names import revision_name, revision_number
from tuneloop_contracts.pods import AdapterState, LoadFault
from tuneloop_operator.api.conditions import parse_time, timestamp
from tuneloop_operator.api.loraadapter import RevisionState
from tuneloop_operator.ledger.inputs import Adapter, Pod
from tuneloop_operator.ledger.model import NEVER_SERVED, Entry, Revision


@dataclass(frozen=True)
class StepContext:
    """What a step may look at."""

    adapter: Adapter
    pods: Sequence[Pod]
    now: datetime

    @property
    def stamp(self) -> str:
        return timestamp(self.now)

    @property
    def digest(self) -> str:
        return self.adapter.spec.artifact.digest if self.adapter.spec.artifact else ""


Step = Callable[[Entry, StepContext], Entry]


def obey_rollback(entry: Entry, at: StepContext) -> Entry:
    """The named revision becomes the candidate: it takes over as soon as it is loaded, which the last one still is."""
    asked = at.adapter.rollback_to
    if asked == entry.rolled_back_to:
        return entry
    if not asked:
        return entry.model_copy(update={"rolled_back_to": ""})
    wanted = entry.find(name=asked)
    if wanted is None:
        return entry  # settle says which there are
    entry = entry.model_copy(update={"rolled_back_to": asked})
    if newer := entry.candidate:
        entry = entry.with_revision(newer.name, state=RevisionState.ROLLED_BACK, since=at.stamp, reason="RolledBack")
    if wanted.digest != at.digest:
        entry = entry.model_copy(update={"held": at.digest})
    if wanted == entry.active:
        return entry
    return entry.with_revision(asked, state=RevisionState.CANDIDATE, since=at.stamp, reason="", message="")


def drop_without_artifact(entry: Entry, at: StepContext) -> Entry:
    """An artifact taken out of the spec is no longer served: the base answers."""
    if at.digest:
        return entry
    for revision, reason in ((entry.active, ""), (entry.candidate, NEVER_SERVED)):
        if revision:
            entry = entry.with_revision(revision.name, state=RevisionState.SUPERSEDED, since=at.stamp, reason=reason)
    return entry


def take_up_new_digest(entry: Entry, at: StepContext) -> Entry:
    """A digest that nobody refused becomes the candidate, in place of one that still waits; or one that was refused at another place."""
    artifact = at.adapter.spec.artifact
    if artifact is None:
        return entry
    known = entry.find(digest=artifact.digest)
    elsewhere = known is not None and known.state == RevisionState.REFUSED and known.uri != artifact.uri
    if artifact.digest == entry.held and not elsewhere:
        return entry
    entry = entry.model_copy(update={"held": ""})
    if any(revision and revision.digest == artifact.digest for revision in (entry.active, entry.candidate)):
        return _moved(entry, artifact.digest, artifact.uri, at)
    if waiting := entry.candidate:
        entry = entry.with_revision(waiting.name, state=RevisionState.SUPERSEDED, since=at.stamp, reason=NEVER_SERVED)
    if known:
        return entry.with_revision(known.name, state=RevisionState.CANDIDATE, since=at.stamp, uri=artifact.uri, reason="", message="")
    return _numbered(entry, artifact.digest, artifact.uri, at)


def _moved(entry: Entry, digest: str, uri: str, at: StepContext) -> Entry:
    """The same weights elsewhere; and a candidate that the spec has returned from is given up."""
    active, candidate = entry.active, entry.candidate
    if active and candidate and active.digest == digest and not _is_rollback(entry, candidate):
        entry = entry.with_revision(candidate.name, state=RevisionState.SUPERSEDED, since=at.stamp, reason=NEVER_SERVED)
    same = entry.find(digest=digest)
    return entry.with_revision(same.name, uri=uri) if same else entry


def _is_rollback(entry: Entry, candidate: Revision) -> bool:
    return candidate.name == entry.rolled_back_to


def _numbered(entry: Entry, digest: str, uri: str, at: StepContext) -> Entry:
    number = entry.last_number + 1
    new = Revision(
        name=revision_name(entry.domain, number, digest), digest=digest, uri=uri, fine_tune_job=at.adapter.trained_by,
        state=RevisionState.CANDIDATE, since=at.stamp,
    )  # fmt: skip
    return entry.model_copy(update={"last_number": number, "revisions": (new, *entry.revisions)})


def refuse(entry: Entry, at: StepContext) -> Entry:
    """One ready pod that finds the weights wrong is enough: the others would find the same."""
    candidate = entry.candidate
    if candidate is None:
        return entry
    for pod in at.pods:
        said = pod.says(candidate.name, candidate.digest)
        if said is None or said.state != AdapterState.FAILED:
            continue
        late = at.now - parse_time(candidate.since) > parse_duration(at.adapter.spec.rollout.progress_deadline)
        if said.reason != LoadFault.ARTIFACT_NOT_FOUND or late:
            reason = said.reason or LoadFault.LOAD_FAILED
            message = f"{pod.name}: {said.message}"[:300]
            entry = entry.with_revision(candidate.name, state=RevisionState.REFUSED, since=at.stamp, reason=reason.value, message=message)
            return entry.model_copy(update={"held": at.digest})
    return entry


def promote(entry: Entry, at: StepContext) -> Entry:
    """Loaded, under this name and with these weights, on every ready pod: it takes over."""
    candidate = entry.candidate
    if candidate is None or not at.pods or not all(_loaded(pod, candidate) for pod in at.pods):
        return entry
    if old := entry.active:
        after = RevisionState.ROLLED_BACK if candidate.digest != at.digest else RevisionState.SUPERSEDED
        reason = "RolledBack" if after == RevisionState.ROLLED_BACK else ""
        entry = entry.with_revision(old.name, state=after, since=at.stamp, reason=reason)
    return entry.with_revision(candidate.name, state=RevisionState.ACTIVE, since=at.stamp)


def _loaded(pod: Pod, revision: Revision) -> bool:
    said = pod.says(revision.name, revision.digest)
    return said is not None and said.state == AdapterState.LOADED


def forget_old(entry: Entry, at: StepContext) -> Entry:
    """What serves, may serve or served last is never forgotten."""
    needed = {revision.name for revision in (entry.active, entry.candidate, entry.fall_back) if revision}
    newest = sorted(entry.revisions, key=lambda r: (r.name in needed, revision_number(r.name)), reverse=True)
    kept = {revision.name for revision in newest[: max(at.adapter.spec.revision_history_limit, len(needed))]}
    return entry.model_copy(update={"revisions": tuple(r for r in entry.revisions if r.name in kept)})


STEPS: tuple[Step, ...] = (obey_rollback, drop_without_artifact, take_up_new_digest, refuse, promote, forget_old)


def advance(entry: Entry, at: StepContext) -> Entry:
    if at.adapter.spec.suspend:
        return entry
    for step in STEPS:
        entry = step(entry, at)
    return entry
