"""What becomes of each trained adapter: published, or why not. Pure."""

from collections.abc import Iterable
from enum import StrEnum

from tuneloop_contracts.progress import TrainedAdapter, Verdict
from tuneloop_operator.api.finetunejob import AdapterStatus, Stage
from tuneloop_operator.finetunejob.snapshot import Snapshot


class Outcome(StrEnum):
    DUE = "Due"
    """To be published in this pass."""
    PUBLISHED = "Published"
    SUPERSEDED = "Superseded"
    """What serves was trained on newer data."""
    MANAGED_ELSEWHERE = "ManagedElsewhere"
    """Another field manager, such as Git, owns the artifact."""
    NAME_TAKEN = "NameTaken"
    """The LoRAAdapter of its name is about another target or domain."""
    REJECTED = "Rejected"
    INCONCLUSIVE = "Inconclusive"
    NOT_ASKED = "NotAsked"
    """publish.mode is None: it stays in the store."""


def outcome(seen: Snapshot, trained: TrainedAdapter, until: str) -> Outcome:
    """`until` is where the window of its data ends."""
    passed = trained.verdict == Verdict.PROMOTE
    if not passed and (seen.spec.evaluation.gate == "Enforce" or not trained.digest):
        return Outcome.REJECTED if trained.verdict == Verdict.REJECT else Outcome.INCONCLUSIVE
    if seen.spec.publish.mode == "None":
        return Outcome.NOT_ASKED
    found = seen.published_to(trained.domain)
    if found is None:
        return Outcome.DUE
    if seen.is_another(found, trained.domain):
        return Outcome.NAME_TAKEN
    if found.digest == trained.digest and found.trained_by == seen.name:
        return Outcome.PUBLISHED
    if found.is_newer(seen.name, until):
        return Outcome.SUPERSEDED
    return Outcome.MANAGED_ELSEWHERE if found.managed_by else Outcome.DUE


def described(seen: Snapshot, trained: TrainedAdapter, result: Outcome) -> AdapterStatus:
    """As the status tells it, with the revision that the LoRAAdapter made of it, once it has."""
    found = seen.published_to(trained.domain)
    revisions = found.revisions if found else ()
    revision = next((r.name for r in revisions if r.digest == trained.digest), None)
    said = TrainedAdapter.model_validate(trained.model_dump(include=set(TrainedAdapter.model_fields))).model_dump()
    return AdapterStatus(**said, published="" if result == Outcome.DUE else result.value, revision=revision)


_ENDS = (
    (Outcome.PUBLISHED, Stage.COMPLETE, "Published"),
    (Outcome.MANAGED_ELSEWHERE, Stage.COMPLETE, "ManagedElsewhere"),
    (Outcome.NAME_TAKEN, Stage.COMPLETE, "NameTaken"),
    (Outcome.SUPERSEDED, Stage.COMPLETE, "Superseded"),
    (Outcome.NOT_ASKED, Stage.COMPLETE, "NotPublished"),
    (Outcome.INCONCLUSIVE, Stage.INCONCLUSIVE, "Inconclusive"),
    (Outcome.REJECTED, Stage.REJECTED, "Rejected"),
)
"""The best outcome of any domain names the end of the job."""


def end(results: Iterable[Outcome]) -> tuple[Stage, str]:
    reached = set(results)
    return next((stage, reason) for result, stage, reason in _ENDS if result in reached)


def summary(adapters: Iterable[AdapterStatus]) -> str:
    """One sentence, by domain."""
    return "; ".join(f"{adapter.domain}: {_sentence(adapter)}" for adapter in adapters)


def _sentence(adapter: AdapterStatus) -> str:
    told = f" ({adapter.reason})" if adapter.reason else ""
    return {
        Outcome.PUBLISHED: "published",
        Outcome.SUPERSEDED: "not published, what is set was trained on data that ends as late or later",
        Outcome.MANAGED_ELSEWHERE: "not published, another field manager owns spec.artifact (kubectl get --show-managed-fields names it)",
        Outcome.NAME_TAKEN: "not published, the LoRAAdapter of that name is about another target or domain",
        Outcome.REJECTED: f"refused by the gate{told}",
        Outcome.INCONCLUSIVE: f"undecided{told}",
        Outcome.NOT_ASKED: "left in the store, as publish.mode says",
    }[Outcome(adapter.published)]
