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
    ratio: float
    """Above 1 where ours is better."""


def lower_is_better(row: str, unit: str, ours: float, peer: str, theirs: float) -> Row:
    return Row(row, unit, ours, peer, theirs, theirs / ours)


def higher_is_better(row: str, unit: str, ours: float, peer: str, theirs: float) -> Row:
    return Row(row, unit, ours, peer, theirs, ours / theirs)


def report(bench: str, rows: list[Row]) -> None:
    print(f"{'':44} {'unit':12} {'ours':>12} {'theirs':>12} {'ratio':>9}  peer")
    for row in rows:
        print(f"{row.row:44} {row.unit:12} {row.ours:12.3f} {row.theirs:12.3f} {row.ratio:9.2f}  {row.peer}")
    print(json.dumps({"bench": bench, "rows": [asdict(row) for row in rows]}))
