"""Which of several processes that train together this one is. Without torch: told before anything heavy is imported."""

from collections.abc import Mapping


def is_launched(env: Mapping[str, str]) -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in env


def is_first(env: Mapping[str, str]) -> bool:
    """Who reports, keeps and publishes; a process alone is its own first."""
    return not is_launched(env) or env.get("RANK") == "0"
