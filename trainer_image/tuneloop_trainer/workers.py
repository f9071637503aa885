"""Which of several processes that work together this one is. Without torch: told before anything heavy is imported."""

from collections.abc import Mapping

from tuneloop_contracts.jobs import INDEX_ENV


def is_launched(env: Mapping[str, str]) -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in env


def is_first(env: Mapping[str, str]) -> bool:
    """Who reports, keeps and publishes; a process alone is its own first."""
    place = env.get("RANK") if is_launched(env) else env.get(INDEX_ENV, "0")
    return place == "0"
