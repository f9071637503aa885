"""Rules on one entry. Each is named for what it finds, and says the reason under which the entry is dropped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from tuneloop_contracts.domains import Domain
from tuneloop_contracts.jobs import HarvestConfig
from tuneloop_contracts.names import revision_domain
from tuneloop_contracts.record import Feedback, Record
from tuneloop_trainer.curate.example import EntryId, Example, Judgement, Recorded, judgement_of, texts_of
from tuneloop_trainer.curate.poison import injected
from tuneloop_trainer.curate.quality import fault_of
from tuneloop_trainer.domains.classify import UNASSIGNED, Classifier
from tuneloop_trainer.rows import Message

MALFORMED = "Malformed"
"""Not an entry that our server wrote."""
REPEATED_ENTRY = "RepeatedEntry"
"""A client that lost Redis' reply wrote it again."""
OVER_LIMIT = "OverLimit"
"""Its domain has all the newer examples that it may."""
INJECTION = "PromptInjection"
OWN_OUTPUT = 0.5
"""Weight of what an adapter of the same domain said and nobody judged: learned whole, its habits would grow with every turn of the loop."""


@dataclass(frozen=True)
class Candidate:
    """A record with all that the rules ask about it."""

    at: EntryId
    record: Record
    feedback: Feedback | None
    domain: str

    @cached_property
    def messages(self) -> tuple[Message, ...] | None:
        return texts_of(self.record)

    @property
    def judgement(self) -> Judgement:
        return judgement_of(self.feedback)

    @property
    def answer(self) -> str:
        return self.feedback.correction if self.feedback and self.feedback.correction else self.record.answer

    def to_example(self, conversation: str) -> Example:
        """`conversation`: the name that it keeps."""
        record = self.record
        messages = self.messages or ()
        by = self.feedback.by if self.feedback else ""
        return Example(record.id, self.at, conversation, record.user, self.domain, messages, self.answer, self.judgement, by, self.weight)

    @property
    def weight(self) -> float:
        own = revision_domain(self.record.revision) == self.domain
        return OWN_OUTPUT if own and self.judgement is Judgement.NONE else 1.0


Rule = Callable[[Candidate, HarvestConfig], str | None]


def served_from_cache(seen: Candidate, config: HarvestConfig) -> str | None:
    return "CacheHit" if seen.record.source == "cache" else None


def of_another_tenant(seen: Candidate, config: HarvestConfig) -> str | None:
    return "OtherTenant" if config.tenants and seen.record.tenant not in config.tenants else None


def not_only_text(seen: Candidate, config: HarvestConfig) -> str | None:
    return "NotText" if seen.messages is None else None


def without_question(seen: Candidate, config: HarvestConfig) -> str | None:
    last = seen.messages[-1] if seen.messages else {"role": "", "content": ""}
    return None if last["role"] == "user" and last["content"].strip() else "NoQuestion"


def disliked(seen: Candidate, config: HarvestConfig) -> str | None:
    down = seen.feedback is not None and seen.feedback.rating == "down"
    return "ThumbsDown" if down and seen.judgement is not Judgement.CORRECTED else None


def unfinished(seen: Candidate, config: HarvestConfig) -> str | None:
    return "Unfinished" if seen.record.finish != "stop" and seen.judgement is not Judgement.CORRECTED else None


def without_answer(seen: Candidate, config: HarvestConfig) -> str | None:
    return None if seen.answer.strip() else "NoAnswer"


def of_poor_quality(seen: Candidate, config: HarvestConfig) -> str | None:
    if seen.judgement is not Judgement.NONE or not seen.messages:
        return None
    return fault_of(seen.messages[-1]["content"], seen.answer)


def with_injection(seen: Candidate, config: HarvestConfig) -> str | None:
    texts = [message["content"] for message in seen.messages or () if message["role"] == "user"]
    return INJECTION if injected([*texts, seen.answer]) else None


def without_feedback(seen: Candidate, config: HarvestConfig) -> str | None:
    return "NoFeedback" if config.curation.require_feedback and seen.judgement is Judgement.NONE else None


def without_domain(seen: Candidate, config: HarvestConfig) -> str | None:
    return "Unassigned" if seen.domain in ("", UNASSIGNED) else None


def of_another_domain(seen: Candidate, config: HarvestConfig) -> str | None:
    wanted = config.selected or tuple(domain.name for domain in config.domains)
    return None if seen.domain in wanted else "OtherDomain"


RULES: tuple[Rule, ...] = (
    served_from_cache, of_another_tenant, not_only_text, without_question, disliked, unfinished, without_answer, without_feedback,
    without_domain, of_another_domain, of_poor_quality, with_injection,
)  # fmt: skip


def drop_reason(seen: Candidate, config: HarvestConfig) -> str | None:
    """The first rule that speaks decides; None admits."""
    return next((reason for rule in RULES if (reason := rule(seen, config))), None)


def domains_of(entries: Sequence[Recorded], domains: tuple[Domain, ...]) -> list[str]:
    """What the client named, else by the last question, else by all that the user asked: "and for two?" has no domain of its own.

    Classified here again: keywords may have changed since, and the server gives to `general` whatever has none.
    """
    records = [entry.record for entry in entries]
    talks = {n: messages for n, record in enumerate(records) if record and not record.tagged and (messages := texts_of(record))}
    found = _classified({n: messages[-1]["content"] for n, messages in talks.items()}, domains)
    asked = {n: [message["content"] for message in talks[n] if message["role"] == "user"] for n in found if found[n] == UNASSIGNED}
    found |= _classified({n: "\n".join(texts) for n, texts in asked.items() if len(texts) > 1}, domains)
    return [record.domain if record and record.tagged else found.get(n, "") for n, record in enumerate(records)]


def _classified(texts: Mapping[int, str], domains: tuple[Domain, ...]) -> dict[int, str]:
    verdicts = _classifier(domains).classify_all([*texts.values()])
    return {n: verdict.domain for n, verdict in zip(texts, verdicts, strict=True)}


@lru_cache(maxsize=4)
def _classifier(domains: tuple[Domain, ...]) -> Classifier:
    return Classifier(domains)
