"""What every bench does the same: interleaved runs, medians, a table for people, one JSON line for machines."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row: ours beside a peer's."""

    row: str
    unit: str
    ours: float
    peer: str
    theirs: float
    less_is_better: bool = False

    @property
    def ratio(self) -> float:
        """Above 1 where ours is better."""
        return self.theirs / self.ours if self.less_is_better else self.ours / self.theirs


def interleaved(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each run once a round, in turn and back again, so that a slow minute of the machine hits all."""
    measured: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in list(runs) if number % 2 == 0 else list(runs)[::-1]:
            measured[name].append(runs[name]())
            print(f"  round {number + 1}/{rounds}  {name}: {measured[name][-1]:.4g}", flush=True)
    return measured


def medians(measured: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in measured.items()}


def show(bench: str, figures: Sequence[Figure]) -> None:
    """The table, and as the last line the JSON."""
    head = ("row", "unit", "ours", "peer", "theirs", "ratio")
    lines = [head, *((f.row, f.unit, f"{f.ours:.4g}", f.peer, f"{f.theirs:.4g}", f"{f.ratio:.2f}") for f in figures)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    print()
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    rows = [
        {"row": f.row, "unit": f.unit, "ours": round(f.ours, 4), "peer": f.peer, "theirs": round(f.theirs, 4), "ratio": round(f.ratio, 3)}
        for f in figures
    ]
    print(json.dumps({"bench": bench, "rows": rows}), flush=True)
