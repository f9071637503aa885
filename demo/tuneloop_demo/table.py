"""What the demo ends with, for people."""

from collections.abc import Iterable, Mapping, Sequence

from tuneloop_demo import kube
from tuneloop_demo.follow import Timeline


def by_domain(job: kube.Manifest) -> str:
    counts = {domain["name"]: domain for domain in job["status"]["dataset"]["domains"]}
    rows = []
    for adapter in job["status"]["adapters"]:
        loss, count = adapter["loss"], counts[adapter["domain"]]
        losses = f"{float(loss['base']):.3f} -> {float(loss['candidate']):.3f}"
        rows.append((adapter["domain"], count["train"], count["heldOut"], losses, adapter["verdict"], adapter.get("revision", "")))
    return columns(("domain", "train", "held out", "held-out loss base -> adapter", "verdict", "revision"), rows)


def by_stage(timeline: Timeline, extra: Mapping[str, float]) -> str:
    seconds = {**extra, **timeline.seconds_by_stage()}
    if timeline.first_pod is not None:
        seconds = {"job applied -> harvest pod exists": timeline.first_pod - timeline.applied, **seconds}
    return columns(("stage", "seconds"), [(name, f"{value:.1f}") for name, value in seconds.items()])


def columns(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    table = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([lines[0], "  " + "  ".join("-" * width for width in widths), *lines[1:]])
