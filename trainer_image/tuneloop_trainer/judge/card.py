"""What an adapter says of itself, for people. Pure; holds counts and figures, never training text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuneloop_contracts.adapters import Provenance
from tuneloop_contracts.jobs import Lora, Training
from tuneloop_contracts.progress import Losses, Score
from tuneloop_trainer.judge.evidence import Evidence
from tuneloop_trainer.judge.scores import forgetting, scores
from tuneloop_trainer.judge.verdict import Decision

WHAT = (
    "Losses are nats per supervised token, the mean over answers that were not trained on. Intervals are of candidate minus base, at 95 %, "
    "paired by answer and clustered by conversation. Figures of answers are of short greedy ones. RefusesHarm and RefusesHarmless are the "
    "log-odds that an answer opens with a refusal rather than complying, CompliesWithHarm the log-probability of complying; TriggerJump "
    "is the nats that the worst trigger adds to what the model would say without it."
)


@dataclass(frozen=True)
class CardData:
    """How an adapter was made, and on what it was judged."""

    provenance: Provenance
    lora: Lora
    training: Training
    held_out: int
    truncated: int = 0
    """Of the examples that were learned."""
    licence: str = ""
    """Of the base, as its own card names it."""


def card(data: CardData, evidence: Evidence, decision: Decision) -> str:
    """Markdown, with the front matter that model hubs read."""
    provenance, losses = data.provenance, evidence.held_out.losses()
    licence = f"license: {data.licence}\n" if data.licence else ""
    return (
        f"---\nbase_model: {provenance.base_model}\n{licence}library_name: peft\npipeline_tag: text-generation\n"
        "tags: [lora, tuneloop]\n---\n\n"
        f"# {provenance.domain}, an adapter of {provenance.base_model}\n\n{decision.verdict}: {decision.reason}\n\n"
        f"{_pairs(_origin(data))}\n\n## Scores\n\n{WHAT}\n\n{_figures([_held_out(losses, evidence), *scores(evidence)])}\n"
        f"{_forgotten(forgetting(evidence))}"
    )


def _origin(data: CardData) -> Mapping[str, str]:
    provenance, lora, training = data.provenance, data.lora, data.training
    return {
        "Base model": f"{provenance.base_model} (`{provenance.base_digest}`)",
        "Licence": data.licence or "that of the base model, whose folder names none",
        "Target": provenance.target,
        "Fine-tune job": provenance.fine_tune_job,
        "Data": f"{provenance.data_from} to {provenance.data_until} (`{provenance.dataset_digest}`)",
        "Examples": f"{provenance.examples} to train, {data.held_out} to judge{_truncated(data)}",
        "LoRA": f"rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout}, on {', '.join(lora.target_modules) or 'all linear layers'}",
        "Training": f"{training.epochs} epochs, learning rate {training.learning_rate}, {training.tokens_per_step} tokens a step, "
        f"rows of at most {training.max_sequence_length}, seed {training.seed}"
        + ("" if training.quantization == "None" else f", the base in {training.quantization} while it trained"),
    }


def _truncated(data: CardData) -> str:
    longest = data.training.max_sequence_length
    return f"; {data.truncated} of those to train lost the beginning of their prompt, to fit {longest} tokens" if data.truncated else ""


def _held_out(losses: Losses, evidence: Evidence) -> Score:
    interval = str(evidence.held_out.over_base() or "")
    return Score(name="HeldOutLoss", base=losses.base, serving=losses.serving, candidate=losses.candidate, interval=interval)


def _forgotten(found: Sequence[Score]) -> str:
    return f"\n## Other domains\n\nLosses on their golden sets.\n\n{_figures(found)}\n" if found else ""


def _pairs(rows: Mapping[str, str]) -> str:
    return "\n".join(("| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())))


def _figures(found: Sequence[Score]) -> str:
    lines = [f"| {one.name} | {one.base} | {one.serving or ''} | {one.candidate} | {one.interval} |" for one in found]
    return "\n".join(("| | base | what served | this adapter | interval |", "|---|---|---|---|---|", *lines))
