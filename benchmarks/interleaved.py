"""Runs in turn, so that a slow minute of the machine hits all of them."""

import statistics
from collections.abc import Callable, Mapping


def medians(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Of each run, once a round, in order and back again."""
    measured: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs) if number % 2 == 0 else list(runs)[::-1]:
            measured[name].append(runs[name]())
            print(f"  round {number + 1} of {rounds}, {name}: {measured[name][-1]:.4g}", flush=True)
    return {name: statistics.median(values) for name, values in measured.items()}
