"""All adapters of a target, settled: who may speak, a step for each, what fits, and the manifest that follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tuneloop_contracts.manifest import AdapterManifest, ManifestAdapter, Route, salt_of
from tuneloop_contracts.names import revision_number
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.api.loraadapter import RevisionState
from tuneloop_operator.ledger.advance import StepContext, advance
from tuneloop_operator.ledger.claims import Note, refusals, unreachable_store
from tuneloop_operator.ledger.inputs import Adapter, Pod
from tuneloop_operator.ledger.model import Entry, Ledger, Revision


@dataclass(frozen=True)
class SettleResult:
    """What the ConfigMap should hold, and what to say to whom."""

    ledger: Ledger
    manifest: AdapterManifest
    notes: dict[str, Note]
    """By LoRAAdapter, why it does not move."""


def settle(
    target: InferenceTargetSpec, uid: str, adapters: Sequence[Adapter], ledger: Ledger, pods: Sequence[Pod], now: datetime
) -> SettleResult:
    """`uid` is the target's: it salts the hashes of users."""
    notes = refusals(target, adapters)
    entries: dict[str, Entry] = {}
    for adapter in adapters:
        entry = entry_of(adapter, ledger)
        if adapter.name not in notes:
            stuck = unreachable_store(target, adapter)
            entry = entry if stuck else advance(entry, StepContext(adapter, pods, now))
            if note := stuck or _unknown_revision(entry, adapter):
                notes[adapter.name] = note
        entries[adapter.name] = entry
    speaking = {name: entry for name, entry in entries.items() if name not in notes or not notes[name].blocks}
    loaded, waiting = _fit(speaking, target.max_loaded_adapters)
    notes |= {name: note for name, note in waiting.items() if name not in notes}
    return SettleResult(Ledger(entries=entries), _manifest(target, uid, speaking, loaded), notes)


def entry_of(adapter: Adapter, ledger: Ledger) -> Entry:
    """As the ledger has it; else rebuilt from the status; else new."""
    known = ledger.entries.get(adapter.name)
    return known if known and known.uid == adapter.uid else _rebuilt(adapter)


def _rebuilt(adapter: Adapter) -> Entry:
    status, artifact = adapter.status, adapter.spec.artifact
    revisions = tuple(
        Revision(name=r.name, digest=r.digest, uri=r.uri, fine_tune_job=r.fine_tune_job, state=r.state, since=r.since, reason=r.reason)
        for r in status.revisions
    )
    given_up = {r.digest for r in revisions if r.state in (RevisionState.REFUSED, RevisionState.ROLLED_BACK)}
    return Entry(
        uid=adapter.uid,
        domain=adapter.spec.domain,
        last_number=max((revision_number(r.name) for r in revisions), default=0),
        revisions=revisions,
        held=artifact.digest if artifact and artifact.digest in given_up else "",
        rolled_back_to=status.rolled_back_to or "",
    )


def _unknown_revision(entry: Entry, adapter: Adapter) -> Note | None:
    if not adapter.rollback_to or adapter.rollback_to == entry.rolled_back_to or adapter.spec.suspend:
        return None
    known = ", ".join(revision.name for revision in entry.revisions) or "none"
    message = f"there is no revision {adapter.rollback_to} to roll back to; known: {known}"
    return Note("UnknownRevision", message, blocks=False, needs_edit=False)


def _fit(entries: dict[str, Entry], room: int) -> tuple[set[str], dict[str, Note]]:
    """Names of the revisions to keep loaded: what serves, then candidates, then what to fall back to, while there is room."""
    loaded = {entry.active.name for entry in entries.values() if entry.active}
    waiting: dict[str, Note] = {}
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].candidate.since if item[1].candidate else "", item[0])):
        if entry.candidate is None:
            continue
        if len(loaded) < room:
            loaded.add(entry.candidate.name)
        else:
            message = f"{entry.candidate.name} waits: the target's maxLoadedAdapters ({room}) is used up; raise it or delete a LoRAAdapter"
            waiting[name] = Note("NoCapacity", message, blocks=False, needs_edit=False)
    newest_first = sorted((e.fall_back for e in entries.values() if e.fall_back), key=lambda r: (r.since, r.name), reverse=True)
    for revision in newest_first:
        if len(loaded) < room:
            loaded.add(revision.name)
    return loaded, waiting


def _manifest(target: InferenceTargetSpec, uid: str, entries: dict[str, Entry], loaded: set[str]) -> AdapterManifest:
    ordered = sorted(entries.values(), key=lambda entry: entry.domain)
    return AdapterManifest(
        base_model=target.base_model.name,
        adapters=tuple(
            ManifestAdapter(name=revision.name, domain=entry.domain, uri=revision.uri, digest=revision.digest)
            for entry in ordered
            for revision in _kept(entry)
            if revision.name in loaded
        ),
        routes={entry.domain: (Route(to=entry.active.name),) for entry in ordered if entry.active},
        domains=target.domains,
        base_name_by_content=target.routing.base_name_by_content,
        max_loaded_adapters=target.max_loaded_adapters,
        salt=salt_of(uid),
    )


def _kept(entry: Entry) -> list[Revision]:
    return [revision for revision in (entry.active, entry.candidate, entry.fall_back) if revision]
