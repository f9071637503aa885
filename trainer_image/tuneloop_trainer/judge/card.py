"""What an adapter says of itself, for people. Pure; holds counts and figures, never training text."""

from tuneloop_contracts.adapters import Provenance
from tuneloop_contracts.jobs import Lora, Training
from tuneloop_contracts.progress import Losses
from tuneloop_trainer.judge.verdict import Decision


def card(provenance: Provenance, losses: Losses, decision: Decision, lora: Lora, training: Training, held_out: int) -> str:
    """Markdown, with the front matter that model hubs read."""
    rows = {
        "Base model": f"{provenance.base_model} (`{provenance.base_digest}`)",
        "Target": provenance.target,
        "Fine-tune job": provenance.fine_tune_job,
        "Data": f"{provenance.data_from} to {provenance.data_until} (`{provenance.dataset_digest}`)",
        "Examples": f"{provenance.examples} to train, {held_out} held out",
        "Held-out loss of the base": losses.base,
        "Held-out loss of what served": losses.serving or "none served",
        "Held-out loss of this adapter": losses.candidate,
        "Verdict": f"{decision.verdict}: {decision.reason}",
        "LoRA": f"rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout}, on {', '.join(lora.target_modules) or 'all linear layers'}",
        "Training": f"{training.epochs} epochs, learning rate {training.learning_rate}, {training.tokens_per_step} tokens a step, "
        f"rows of at most {training.max_sequence_length}, seed {training.seed}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        f"---\nbase_model: {provenance.base_model}\nlibrary_name: peft\npipeline_tag: text-generation\n---\n\n"
        f"# {provenance.domain}, an adapter of {provenance.base_model}\n\n"
        f"Losses are nats per supervised token, the mean over held-out examples.\n\n| | |\n|---|---|\n{table}\n"
    )
