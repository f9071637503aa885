"""Which LoRAAdapter may speak for a domain, and why the others may not."""

from collections.abc import Sequence
from dataclasses import dataclass

from tuneloop_contracts.stores import BadUri, Store, mount_path
from tuneloop_operator.api.inferencetarget import InferenceTargetSpec
from tuneloop_operator.ledger.inputs import Adapter


@dataclass(frozen=True)
class Note:
    """Why a LoRAAdapter does not move; said in its conditions."""

    reason: str
    message: str
    blocks: bool = True
    """Whether nothing of it may be served at all."""
    needs_edit: bool = True
    """Whether the LoRAAdapter is not ready until somebody edits something."""


def refusals(target: InferenceTargetSpec, adapters: Sequence[Adapter]) -> dict[str, Note]:
    """By name, those that may not speak: the oldest of a domain serves, the younger is told."""
    known = {domain.name for domain in target.domains}
    notes: dict[str, Note] = {}
    owners: dict[str, Adapter] = {}
    for adapter in sorted(adapters, key=lambda a: (a.created, a.name)):
        domain = adapter.spec.domain
        owner = owners.setdefault(domain, adapter)
        if domain not in known:
            notes[adapter.name] = Note("UnknownDomain", f"the target has no domain {domain}; it has {', '.join(sorted(known))}")
        elif owner is not adapter:
            notes[adapter.name] = Note("DomainTaken", f"{owner.name} is older and serves {domain}; delete one of the two")
    return notes


def unreachable_store(target: InferenceTargetSpec, adapter: Adapter) -> Note | None:
    """An artifact in a claim that the server pods do not mount."""
    if adapter.spec.artifact is None:
        return None
    try:
        wanted, mounted = Store(adapter.spec.artifact.uri).claim, Store(target.artifacts.adapters.uri).claim
    except BadUri as error:
        return Note("InvalidSpec", str(error), blocks=False)
    if not wanted or wanted == mounted:
        return None
    has = f"only claim {mounted}" if mounted else "no claim"
    message = f"the artifact is in claim {wanted}, but the target mounts {has}: copy it, or mount {wanted} at {mount_path(wanted)}"
    return Note("StoreNotMounted", message, blocks=False)
