"""What pods report in these tests."""

from tuneloop_contracts.dataset import INSUFFICIENT, Dataset, DomainCounts
from tuneloop_contracts.progress import Losses, Report, TrainedAdapter, Verdict


def harvested(*, until: str = "2026-11-23T12:00:00Z", **counts: int) -> Report:
    """Examples by domain; below 50 is too few."""
    domains = tuple(
        DomainCounts(name=name, train=count, held_out=0, reason=INSUFFICIENT if count < 50 else None) for name, count in counts.items()
    )
    kept = sum(counts.values())
    dataset = Dataset(
        uri="pvc://artifacts/chat/_datasets/week-47", digest=digest("d"), from_="2026-10-24T12:00:00Z", to=until, read=kept + 9, kept=kept,
        domains=domains,
    )  # fmt: skip
    return Report(dataset=dataset)


def trained(verdict: Verdict = Verdict.PROMOTE, **marks: str) -> Report:
    """Adapters by domain, each with a digest made of its mark."""
    return Report(
        adapters=tuple(
            TrainedAdapter(
                domain=domain, digest=digest(mark), uri=f"pvc://artifacts/chat/{domain}/sha256-{mark * 64}",
                loss=Losses(base="2.41", candidate="1.88"), verdict=verdict, examples=410,
            )
            for domain, mark in marks.items()
        )
    )  # fmt: skip


def digest(mark: str) -> str:
    return f"sha256:{mark * 64}"
