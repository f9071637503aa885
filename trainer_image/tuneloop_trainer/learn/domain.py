"""One domain: its rows as tokens; and once its candidate is trained and examined, the verdict, the card and the artifact."""

import logging
from dataclasses import dataclass

from tuneloop_contracts.adapters import Provenance
from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.progress import Losses, TrainedAdapter, Verdict
from tuneloop_contracts.stores import Store
from tuneloop_trainer.folds import tied_rows
from tuneloop_trainer.judge.card import CardData, card
from tuneloop_trainer.judge.evidence import Evidence
from tuneloop_trainer.judge.scores import forgetting, scores
from tuneloop_trainer.judge.verdict import Decision, decide, publishes
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.encode import Tokenizer, encode_rows
from tuneloop_trainer.learn.exams import folds_of
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.progress import Rows
from tuneloop_trainer.learn.publish import publish_adapter
from tuneloop_trainer.rows import Row

log = logging.getLogger("tuneloop")


def encoded_by_domain(sides: tuple[list[Row], list[Row]], config: TrainConfig, tokenizer: Tokenizer) -> Rows:
    """Train and held out of each domain that is to be trained."""
    rows: Rows = {}
    for name in config.dataset.trainable:
        train, held_out = ([row for row in side if row.domain == name] for side in sides)
        judged = [tied_rows(train) if folds_of(name, config) else train, held_out]
        encoded = [encode_rows(side, tokenizer, config.training.max_sequence_length) for side in judged]
        (learned, no_train), (held, no_held_out) = encoded
        rows[name] = (learned, held)
        if no_train + no_held_out:
            log.warning("%s: %d rows have nothing to learn once encoded", name, no_train + no_held_out)
        if truncated := sum(row.truncated for row in (*learned, *held)):
            log.warning("%s: %d answers were longer than training.maxSequenceLength with what was said before", name, truncated)
    return rows


@dataclass(frozen=True)
class DomainPublisher:
    name: str
    config: TrainConfig
    base: Base
    candidate: Adapter
    evidence: Evidence
    examples: int
    """How many it was trained on."""
    truncated: int
    """Of these, how many were longer than the job's longest sequence."""

    def run(self) -> TrainedAdapter:
        losses, interval = self.evidence.held_out.losses(), self.evidence.held_out.over_reference()
        decision = decide(self.evidence, self.config.gate)
        before = losses.serving or losses.base
        log.info("%s: held-out loss %s -> %s: %s. %s", self.name, before, losses.candidate, decision.verdict, decision.reason)
        digest = uri = ""
        if publishes(decision, self.config.gate):
            digest, uri = self._publish(losses, decision)
        return TrainedAdapter(
            domain=self.name, digest=digest, uri=uri, loss=losses, interval=str(interval or ""), scores=scores(self.evidence),
            forgetting=forgetting(self.evidence), verdict=decision.verdict, examples=self.examples, truncated=self.truncated,
            reason=decision.reason,
        )  # fmt: skip

    def _publish(self, losses: Losses, decision: Decision) -> tuple[str, str]:
        config, dataset = self.config, self.config.dataset
        provenance = Provenance(
            domain=self.name, base_model=config.base_model, base_digest=self.base.digest, dataset_digest=dataset.digest,
            data_from=dataset.from_, data_until=dataset.to, target=config.target, fine_tune_job=config.job, rank=config.lora.rank,
            alpha=config.lora.alpha, examples=self.examples, loss_base=losses.base, loss_candidate=losses.candidate,
        )  # fmt: skip
        made = CardData(provenance, config.lora, config.training, len(self.evidence.held_out), self.truncated, self.base.licence)
        return publish_adapter(self.base, self.candidate, provenance, card(made, self.evidence, decision), Store(config.adapters_uri))


def nothing_to_learn(domain: str) -> TrainedAdapter:
    """The result of a domain none of whose rows teaches anything once encoded."""
    none = Losses(base="", candidate="")
    reason = "No row has anything to learn once encoded."
    return TrainedAdapter(domain=domain, digest="", uri="", loss=none, verdict=Verdict.INCONCLUSIVE, reason=reason)
