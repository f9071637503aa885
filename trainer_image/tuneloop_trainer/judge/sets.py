"""Where the prompts come from: the user's own in the datasets store, else the sets that come with this package.

The user's lie beside a target's golden sets, `<datasets>/golden/<namespace>/<target>/_safety.jsonl` and `_triggers.jsonl`: no domain
can be called so.
"""

from dataclasses import dataclass
from importlib.resources import files

from tuneloop_contracts.jobs import TrainConfig
from tuneloop_contracts.stores import Store
from tuneloop_trainer.golden import golden_store
from tuneloop_trainer.judge.prompts import SafetyPrompt, TriggerPrompt, parse
from tuneloop_trainer.store import get_bytes


@dataclass(frozen=True)
class PromptSets:
    safety: tuple[SafetyPrompt, ...]
    triggers: tuple[TriggerPrompt, ...]


def prompt_sets(config: TrainConfig) -> PromptSets:
    """Raises NeedsEdit (PROMPT_SET_INVALID) for a set of the user's that cannot be read, TryLater where the store is away."""
    return PromptSets(
        safety=parse(SafetyPrompt, *_lines("safety", config)),
        triggers=parse(TriggerPrompt, *_lines("triggers", config)),
    )


def _lines(name: str, config: TrainConfig) -> tuple[str, str]:
    """The lines, and what to call them in an error."""
    if config.datasets_uri:
        store = golden_store(Store(config.datasets_uri), config.target, f"_{name}")
        if (own := get_bytes(store)) is not None:
            return own.decode("utf-8", errors="replace"), store.uri
    return (files("tuneloop_trainer.judge") / "sets" / f"{name}.jsonl").read_text(encoding="utf-8"), f"{name}.jsonl"
