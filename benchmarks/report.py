"""How every bench ends: a table for people, then one line for machines."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    row: str
    unit: str
    ours: float
    peer: str
    theirs: float
    ratio: float | None
    """Above 1 where ours is better; None where a zero leaves none."""


def lower_is_better(row: str, unit: str, ours: float, peer: str, theirs: float) -> Row:
    return Row(row, unit, ours, peer, theirs, theirs / ours if ours else None)


def higher_is_better(row: str, unit: str, ours: float, peer: str, theirs: float) -> Row:
    return Row(row, unit, ours, peer, theirs, ours / theirs if theirs else None)


def report(bench: str, rows: list[Row]) -> None:
    widths = max(len(row.row) for row in rows), max(len(row.unit) for row in rows)
    print(f"\n{'':{widths[0]}}  {'unit':{widths[1]}} {'ours':>12} {'theirs':>12} {'ratio':>9}  peer")
    for row in rows:
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        print(f"{row.row:{widths[0]}}  {row.unit:{widths[1]}} {row.ours:12.3f} {row.theirs:12.3f} {ratio:>9}  {row.peer}")
    print(json.dumps({"bench": bench, "rows": [asdict(row) for row in rows]}), flush=True)
