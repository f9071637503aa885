"""One domain's turn: losses before, training, losses after, verdict, artifact."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from peft import PeftModel

from tuneloop_contracts.adapters import Provenance
from tuneloop_contracts.domains import GENERAL
from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.progress import Losses, TrainedAdapter, Verdict
from tuneloop_contracts.stores import Store
from tuneloop_trainer.judge.card import card
from tuneloop_trainer.judge.evidence import Compared, Evidence
from tuneloop_trainer.judge.verdict import Decision, decide, publishes
from tuneloop_trainer.learn.adapters import attach, detach, load_serving
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.effort import Effort, Rows
from tuneloop_trainer.learn.encode import Tokenizer, encode_rows
from tuneloop_trainer.learn.evaluate import held_out_losses
from tuneloop_trainer.learn.publish import publish_adapter
from tuneloop_trainer.learn.train import train_domain
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
    return rows


@dataclass(frozen=True)
class DomainTurn:
    name: str
    config: TrainConfig
    base: Base
    rows: Rows
    effort: Effort

    def run(self) -> TrainedAdapter:
        train, _ = self.rows[self.name]
        if not train:
            none = Losses(base="", candidate="")
            reason = "No row has anything to learn once encoded."
            return TrainedAdapter(domain=self.name, digest="", uri="", loss=none, verdict=Verdict.INCONCLUSIVE, reason=reason)
        with self._stage("Evaluating"):
            base, serving = self._losses(self.base.model, self.name), self._serving_losses()
            general = self._losses(self.base.model, GENERAL) if self._may_forget else ()
        model = attach(self.base, self.config.lora, self.config.training.seed)
        try:
            with self._stage("Training"):
                train_domain(model, train, self.config.training, self.base.placement, lambda step: self.effort.trained(self.name, step))
            with self._stage("Evaluating"):
                held_out = Compared(self._conversations(self.name), base, self._losses(model, self.name), serving)
                golden = {}
                if self._may_forget:
                    golden[GENERAL] = Compared(self._conversations(GENERAL), general, self._losses(model, GENERAL))
            return self._judged(model, Evidence(held_out, golden=golden))
        finally:
            detach(model)

    def _judged(self, model: PeftModel, evidence: Evidence) -> TrainedAdapter:
        losses, interval = evidence.held_out.losses(), evidence.held_out.over_reference()
        decision = decide(evidence, self.config.gate)
        log.info("%s: held-out loss %s -> %s: %s", self.name, losses.serving or losses.base, losses.candidate, decision.reason)
        digest = uri = ""
        if publishes(decision, self.config.gate) and self.config.publish:
            with self._stage("Publishing"):
                digest, uri = self._publish(model, losses, decision)
        return TrainedAdapter(
            domain=self.name, digest=digest, uri=uri, loss=losses, interval=str(interval or ""), verdict=decision.verdict,
            examples=len(self.rows[self.name][0]), reason=decision.reason,
        )  # fmt: skip

    def _publish(self, model: PeftModel, losses: Losses, decision: Decision) -> tuple[str, str]:
        config, dataset = self.config, self.config.dataset
        train, held_out = self.rows[self.name]
        provenance = Provenance(
            domain=self.name, base_model=config.base_model, base_digest=self.base.digest, dataset_digest=dataset.digest,
            data_from=dataset.from_, data_until=dataset.to, target=config.target, fine_tune_job=config.job, rank=config.lora.rank,
            alpha=config.lora.alpha, examples=len(train), loss_base=losses.base, loss_candidate=losses.candidate,
        )  # fmt: skip
        text = card(provenance, losses, decision, config.lora, config.training, len(held_out))
        return publish_adapter(model, provenance, text, Store(config.adapters_uri))

    def _serving_losses(self) -> tuple[float, ...] | None:
        serving = next((adapter for adapter in self.config.serving if adapter.domain == self.name), None)
        model = load_serving(self.base, serving) if serving else None
        if model is None:
            return None
        try:
            return self._losses(model, self.name)
        finally:
            detach(model)

    def _losses(self, model: object, domain: str) -> tuple[float, ...]:
        return tuple(held_out_losses(model, self.rows[domain][1], self.base.placement, self.effort.evaluated))  # type: ignore[arg-type]

    def _conversations(self, domain: str) -> tuple[str, ...]:
        return tuple(row.conversation for row in self.rows[domain][1])

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

