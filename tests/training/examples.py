"""Examples and configurations for pure tests of curation."""

from dataclasses import replace

from tuneloop_contracts.domains import DEFAULT_DOMAINS
from tuneloop_contracts.jobs import Curation, HarvestConfig
from tuneloop_trainer.curate.example import Example, Judgement

CONFIG = HarvestConfig(
    job="chat/job", target="chat/chat-llm", window_start="2026-01-01T00:00:00Z", window_end="2026-02-01T00:00:00Z",
    domains=DEFAULT_DOMAINS, datasets_uri="file:///data",
)  # fmt: skip


def config(**changes: object) -> HarvestConfig:
    return CONFIG.model_copy(update=changes)


def curation(**changes: object) -> HarvestConfig:
    return config(curation=Curation().model_copy(update=changes))


def example(number: int, question: str = "", system: str = "", **changes: object) -> Example:
    messages = ({"role": "system", "content": system},) if system else ()
    messages += ({"role": "user", "content": question or f"question {number} of many"},)
    plain = Example(f"i-{number}", (number, 0), f"c-{number}", f"u-{number}", "support", messages, f"answer {number}", Judgement.NONE)
    return replace(plain, **changes)  # type: ignore[arg-type]
