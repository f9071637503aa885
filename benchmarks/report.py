"""What every benchmark ends with: a table for people, and one line of JSON."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    row: str
    unit: str
    ours: float
    peer: str
    theirs: float
    higher: bool
    """More is better."""

    @property
    def ratio(self) -> float | None:
        """Over 1 where ours is better; None where a zero leaves none."""
        better, worse = (self.ours, self.theirs) if self.higher else (self.theirs, self.ours)
        return round(better / worse, 3) if worse else None


def report(bench: str, rows: list[Row]) -> None:
    widths = max(len(row.row) for row in rows), max(len(row.peer) for row in rows)
    for row in rows:
        ratio = f"{row.ratio:8.2f} x" if row.ratio else "       -"
        print(f"{row.row:{widths[0]}}  {row.ours:10.3f} {row.unit:3}  {row.peer:{widths[1]}}  {row.theirs:10.3f} {row.unit:3} {ratio}")
    fields = [
        {"row": row.row, "unit": row.unit, "ours": row.ours, "peer": row.peer, "theirs": row.theirs, "ratio": row.ratio} for row in rows
    ]
    print(json.dumps({"bench": bench, "rows": fields}))
