"""One domain's turn once its adapter is trained: losses, verdict, artifact."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tuneloop_contracts.adapters import Provenance
from tuneloop_contracts.domains import GENERAL
from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.progress import Losses, TrainedAdapter, Verdict
from tuneloop_contracts.stores import Store
from tuneloop_trainer.judge.card import card
from tuneloop_trainer.judge.evidence import Compared, Evidence
from tuneloop_trainer.judge.verdict import Decision, decide, publishes
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.effort import Effort, Rows
from tuneloop_trainer.learn.encode import Tokenizer, encode_rows
from tuneloop_trainer.learn.lora.adapter import Adapter, load_serving
from tuneloop_trainer.learn.publish import publish_adapter
from tuneloop_trainer.learn.score import Asked, row_losses
from tuneloop_trainer.rows import Row

log = logging.getLogger("tuneloop")


def encoded_by_domain(sides: tuple[list[Row], list[Row]], config: TrainConfig, tokenizer: Tokenizer) -> Rows:
    """Train and held out of each domain that is to be trained."""
    rows: Rows = {}
    for name in config.dataset.trainable:
        encoded = [
            encode_rows([row for row in side if row.domain == name], tokenizer, config.training.max_sequence_length) for side in sides
        ]
        (train, no_train), (held_out, no_held_out) = encoded
        rows[name] = (train, held_out)
        if no_train + no_held_out:
            log.warning("%s: %d rows have nothing to learn once encoded", name, no_train + no_held_out)
        if truncated := sum(row.truncated for row in (*train, *held_out)):
            log.warning("%s: %d answers were longer than training.maxSequenceLength with what was said before", name, truncated)
    return rows


@dataclass(frozen=True)
class DomainTurn:
    name: str
    config: TrainConfig
    base: Base
    rows: Rows
    effort: Effort
    candidate: Adapter

    def run(self) -> TrainedAdapter:
        with self._stage("Evaluating"):
            served = next((adapter for adapter in self.config.serving if adapter.domain == self.name), None)
            serving = load_serving(self.base, served) if served else None
            held_out = self._compared(self.name, serving)
            golden = {GENERAL: self._compared(GENERAL, None)} if self._may_forget else {}
        return self._judged(Evidence(held_out, golden=golden))

    def _judged(self, evidence: Evidence) -> TrainedAdapter:
        losses, interval = evidence.held_out.losses(), evidence.held_out.over_reference()
        decision = decide(evidence, self.config.gate)
        log.info("%s: held-out loss %s -> %s: %s", self.name, losses.serving or losses.base, losses.candidate, decision.reason)
        digest = uri = ""
        if publishes(decision, self.config.gate) and self.config.publish:
            with self._stage("Publishing"):
                digest, uri = self._publish(losses, decision)
        return TrainedAdapter(
            domain=self.name, digest=digest, uri=uri, loss=losses, interval=str(interval or ""), verdict=decision.verdict,
            examples=len(self.rows[self.name][0]), reason=decision.reason,
        )  # fmt: skip

    def _publish(self, losses: Losses, decision: Decision) -> tuple[str, str]:
        config, dataset = self.config, self.config.dataset
        train, held_out = self.rows[self.name]
        provenance = Provenance(
            domain=self.name, base_model=config.base_model, base_digest=self.base.digest, dataset_digest=dataset.digest,
            data_from=dataset.from_, data_until=dataset.to, target=config.target, fine_tune_job=config.job, rank=config.lora.rank,
            alpha=config.lora.alpha, examples=len(train), loss_base=losses.base, loss_candidate=losses.candidate,
        )  # fmt: skip
        text = card(provenance, losses, decision, config.lora, config.training, len(held_out))
        return publish_adapter(self.base, self.candidate, provenance, text, Store(config.adapters_uri))

    def _compared(self, domain: str, serving: Adapter | None) -> Compared:
        """Losses on a domain's held-out answers, all in the same passes."""
        rows = self.rows[domain][1]
        adapters = {"candidate": self.candidate} | ({"serving": serving} if serving else {})
        names: list[str | None] = [None, *adapters]
        found = iter(row_losses(self.base, adapters, [Asked(name, row) for name in names for row in rows], self.effort.evaluated))
        losses = {name: tuple(next(found).mean().item() for _ in rows) for name in names}
        return Compared(tuple(row.conversation for row in rows), losses[None], losses["candidate"], losses.get("serving"))

    @property
    def _may_forget(self) -> bool:
        """General questions tell whether an adapter lost what the base knew, where the dataset has some."""
        return self.name != GENERAL and GENERAL in self.rows

    @contextmanager
    def _stage(self, stage: str) -> Iterator[None]:
        self.effort.enter(stage)
        started = time.monotonic()
        yield
        self.effort.seconds[f"{self.name} {stage.lower()}"] += round(time.monotonic() - started, 1)  # type: ignore[assignment]


def nothing_to_learn(domain: str) -> TrainedAdapter:
    """The result of a domain none of whose rows teaches anything once encoded."""
    none = Losses(base="", candidate="")
    reason = "No row has anything to learn once encoded."
    return TrainedAdapter(domain=domain, digest="", uri="", loss=none, verdict=Verdict.INCONCLUSIVE, reason=reason)
