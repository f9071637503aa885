"""What job pods have posted, by the uid of their Job; only in memory, since the termination message says it again."""

from typing import TypeVar

from tuneloop_contracts.progress import ProgressBody, Report

MOST_KEPT = 1000
"""Jobs. The oldest go first: those of FineTuneJobs that were deleted before their end."""

T = TypeVar("T")


class Inbox:
    def __init__(self) -> None:
        self._progress: dict[str, ProgressBody] = {}
        self._reports: dict[str, Report] = {}

    def post_progress(self, job_uid: str, body: ProgressBody) -> None:
        _keep(self._progress, job_uid, body)

    def post_report(self, job_uid: str, report: Report) -> None:
        _keep(self._reports, job_uid, report)

    def progress(self, job_uid: str) -> ProgressBody | None:
        return self._progress.get(job_uid)

    def report(self, job_uid: str) -> Report | None:
        return self._reports.get(job_uid)

    def forget(self, job_uid: str) -> None:
        self._progress.pop(job_uid, None)
        self._reports.pop(job_uid, None)


def _keep(kept: dict[str, T], uid: str, value: T) -> None:
    kept.pop(uid, None)
    kept[uid] = value
    while len(kept) > MOST_KEPT:
        del kept[next(iter(kept))]
