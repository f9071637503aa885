"""Four adapters in one job over one frozen base, as a user starts it: against four jobs of TRL's defaults, and four of our own.

A job is a process of its own, from its start to its end: what imports and loading cost is in its wall time, the weights it holds in
its memory. Ours also examines what it trained, which TRL's do not: once with that and once without. First: the gradients of the four
in the same passes are those of each alone, and what they learn is as good.
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch

from builders_adapters import base_folder
from interleaved import medians
from lora_models import DOMAINS
from report import lower_is_better, report
from training.lessons import dataset, job
from trlprocess import NAME, TrlProcess
from tuneloop_contracts.jobs import CONFIG_ENV, Gate, Training
from tuneloop_contracts.progress import Report
from tuneloop_trainer.learn.finished import finished_report
from tuneloop_trainer.rows import Row
from tuning import begun, chats, difference, encoded, for_trl, gradients, load

CHATS, HELD_OUT, EIGHT, ROUNDS = 8, 2, 8, 2


@dataclass(frozen=True)
class JobResult:
    seconds: float
    peak_mb: float
    report: Report

    @property
    def training(self) -> float:
        """Seconds without the exam."""
        return self.seconds - self.report.seconds["evaluating"]


def own_job(folder: Path, *lessons: tuple[list[Row], list[Row]]) -> JobResult:
    """`python -m tuneloop_trainer train`."""
    place = Path(tempfile.mkdtemp(dir=folder))
    training, data = Training(epochs=1, precision="Float32"), dataset(place / "data", *lessons)
    config = job(base_folder(), place, data, training=training, gate=Gate(mode="Report"))
    environment = os.environ | {CONFIG_ENV: config.model_dump_json(by_alias=True), "OMP_NUM_THREADS": "2"}
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "tuneloop_trainer", "train"], env=environment, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    assert status == 0
    found = finished_report(config)
    assert found
    return JobResult(seconds, used.ru_maxrss / 1024, found)


def split(domain: str, learned: int = CHATS) -> tuple[list[Row], list[Row]]:
    """To learn from, and held out."""
    rows = chats(learned + HELD_OUT, domain, 20 * DOMAINS.index(domain))
    return rows[:learned], rows[learned:]


def trl_job(rows: Path) -> float:
    began = time.perf_counter()
    with TrlProcess(base_folder(), "defaults") as peer:
        peer.train(rows, CHATS // EIGHT)
    return time.perf_counter() - began


def assert_equal(folder: Path) -> list[Path]:
    """Gradients; gives the rows of each domain as TRL reads them."""
    torch.set_num_threads(2)
    base = load()
    rows = {domain: encoded(base, split(domain)[0]) for domain in DOMAINS}
    adapter = begun(base, folder / "begun.safetensors")
    together = gradients(base, dict.fromkeys(DOMAINS, adapter), rows)
    for domain in DOMAINS:
        found = difference(together[domain], gradients(base, {domain: adapter}, {domain: rows[domain]})[domain])
        print(f"{domain}: gradients beside the others and alone differ by {found:.1e}")
        assert found <= 1e-6
    return [for_trl(rows[domain], folder / f"{domain}.jsonl") for domain in DOMAINS]


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:  # a job's peak counts from that of the process that starts it
            files = elsewhere.submit(assert_equal, folder).result()
        one, four = [], []

        def together() -> float:
            four.append(own_job(folder, *map(split, DOMAINS)))
            return four[-1].seconds

        def apart() -> float:
            one.extend(own_job(folder, split(domain)) for domain in DOMAINS)
            return sum(done.seconds for done in one[-len(DOMAINS) :])

        took = medians({"together": together, "apart": apart, "TRL": lambda: sum(map(trl_job, files))}, ROUNDS)
        as_much = own_job(folder, split(DOMAINS[0], CHATS * len(DOMAINS)))
    for alone, beside in zip(one, four[0].report.adapters, strict=False):
        (adapter,) = alone.report.adapters
        assert abs(float(adapter.loss.candidate) - float(beside.loss.candidate)) <= 1e-3
    print("held-out losses of the four agree with those of separate jobs within 1e-3")
    trained = median(done.training for done in four)
    peak = max(done.peak_mb for done in four)
    report(
        "train-domains",
        [
            lower_is_better("four adapters, without the exam (goal 3x)", "s", trained, f"four jobs of {NAME}, defaults", took["TRL"]),
            lower_is_better("four adapters, with the exam", "s", took["together"], f"four jobs of {NAME}, defaults", took["TRL"]),
            lower_is_better("four adapters, with the exam (goal 1.15x)", "s", took["together"], "four of our own jobs", took["apart"]),
            lower_is_better("four adapters, memory (goal 0.8x)", "MB", peak, "one of our own jobs, as many rows", as_much.peak_mb),
        ],
    )


if __name__ == "__main__":
    main()
