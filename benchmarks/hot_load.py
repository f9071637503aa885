"""An adapter from local files to its first answer: ours, PEFT's load_adapter, vLLM's endpoint; and what loads cost those who are answered.

First the adapter that was loaded must give PEFT's logits.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import safetensors.torch
import torch

from builders_adapters import base_folder, digest_of_base, provenance
from interleaved import medians
from lora_models import DOMAINS, QUESTIONS, base_model, config, make_adapters, padded, prompts, quiet, with_adapters
from report import Row, lower_is_better, report
from tuneloop_contracts.adapters import CARD_FILE, PROVENANCE_FILE, adapter_digest
from tuneloop_server.adapters.preflight import Limits, preflight
from tuneloop_server.background import in_background
from tuneloop_server.engine.base import Generation, Message, Sampling
from tuneloop_server.engine.hf import HfEngine
from tuneloop_server.engine.loading import load_base
from tuneloop_server.engine.slots import Slots
from vllmprocess import VllmProcess

LOADS, ROUNDS, STREAMS = 100, 9, 4
LOADS_OF_A_STREAM = 10
"""So few that its steps stay nearly as long as they were: each token makes the next one dearer."""
ENDLESS = 8000
"""Tokens: nearly the model's context."""
MAX_RANK = 16
QUANTILES = {"median": 0.5, "p99": 0.99, "p99.9": 0.999, "worst": 1.0}


@dataclass
class Ours:
    """One engine, and adapters as they are served: with their provenance, and checked before."""

    engine: HfEngine
    adapters: dict[str, tuple[Path, str]]
    """Folder and digest, by domain."""
    number: int = 0

    async def load(self, domain: str) -> str:
        """Read, check, load, probe."""
        self.number += 1
        (folder, digest), handle = self.adapters[domain], f"{domain}-{self.number}"
        limits = Limits(self.engine.facts, MAX_RANK)
        checked = await in_background(lambda rest: preflight(folder, digest, limits, rest), self.engine.pressure)
        assert await self.engine.load(handle, checked) > 0
        return handle


@dataclass
class Stream:
    """One client, whose answer does not end before it has seen its loads: so no gap is that of a prompt being read."""

    times: list[float] = field(default_factory=list)
    """When each token came."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, engine: HfEngine, question: str, done: asyncio.Event) -> None:
        answer = await engine.generate(Generation((Message("user", question),), Sampling(ENDLESS, temperature=0.0), None))
        async for _ in answer.pieces():
            self.times.append(time.perf_counter())
            self.begun.set()
            if done.is_set():
                return answer.cancel()
        raise AssertionError("a stream was dropped")

    def gaps(self, begin: float, end: float) -> list[float]:
        """Seconds between two tokens, of those that began in this time."""
        return [after - before for before, after in pairwise(self.times) if begin <= before < end]


def served(folders: dict[str, Path]) -> dict[str, Path]:
    """As our trainer publishes them."""
    for domain, folder in folders.items():
        (folder / PROVENANCE_FILE).write_text(provenance(digest_of_base(), domain, 16).model_dump_json(by_alias=True))
        (folder / CARD_FILE).write_text(f"# {domain}\n")
    return folders


def check_equal(slots: Slots, model: Any, peft: Any) -> None:
    ids = padded([prompts()[0]])
    for domain in DOMAINS:
        peft.set_adapter(domain)
        slot = slots.take(domain)
        slots.use(slots.runs([slot]))
        torch.testing.assert_close(model(**ids).logits, peft(**ids).logits, atol=1e-3, rtol=1e-3)
        slots.give_back(slot)


def copied(slots: Slots, folder: Path) -> float:
    """Seconds from the file to the slot, beside digest and probe."""
    began = time.perf_counter()
    tensors = safetensors.torch.load_file(folder / "adapter_model.safetensors")
    slots.add("new", slots.read(config(tensors), tensors))
    slots.give_back(slots.take("new"))
    spent = time.perf_counter() - began
    slots.remove("new")
    return spent


def peft_loads(peft: Any, folder: Path) -> float:
    began = time.perf_counter()
    with quiet():
        peft.load_adapter(folder, adapter_name="new")
    spent = time.perf_counter() - began
    peft.set_adapter(DOMAINS[0])
    peft.delete_adapter("new")
    return spent


def vllm_loads(vllm: VllmProcess, folder: Path) -> float:
    began = time.perf_counter()
    httpx.post(f"{vllm.url}/v1/load_lora_adapter", json={"lora_name": "new", "lora_path": str(folder)}, timeout=120).raise_for_status()
    spent = time.perf_counter() - began
    httpx.post(f"{vllm.url}/v1/unload_lora_adapter", json={"lora_name": "new"}, timeout=120).raise_for_status()
    return spent


async def whole(ours: Ours) -> float:
    began = time.perf_counter()
    handle = await ours.load(DOMAINS[0])
    spent = time.perf_counter() - began
    await ours.engine.unload(handle)
    return spent


@dataclass
class StreamGaps:
    """Seconds between two tokens of streams that run all the while."""

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    """While an adapter is loaded or unloaded."""
    loads: list[float] = field(default_factory=list)
    """Seconds that each load took beside them."""


async def under_load(ours: Ours, gaps: StreamGaps) -> None:
    """After each load as long a time without: so both see the same machine. No stream may end."""
    done = asyncio.Event()
    streams = [Stream() for _ in range(STREAMS)]
    async with asyncio.TaskGroup() as group:
        for stream, question in zip(streams, QUESTIONS, strict=False):
            group.create_task(stream.run(ours.engine, question, done))
        await asyncio.gather(*(stream.begun.wait() for stream in streams))
        for number in range(LOADS_OF_A_STREAM):
            begin = time.perf_counter()
            handle = await ours.load(DOMAINS[number % len(DOMAINS)])
            gaps.loads.append(time.perf_counter() - begin)
            await ours.engine.unload(handle)
            middle = time.perf_counter()
            await asyncio.sleep(middle - begin)
            end = time.perf_counter()
            gaps.beside += [gap for stream in streams for gap in stream.gaps(begin, middle)]
            gaps.alone += [gap for stream in streams for gap in stream.gaps(middle, end)]
        done.set()


def main() -> None:
    torch.set_num_threads(1)  # the engine's thread has two, and the loads are copies
    with tempfile.TemporaryDirectory() as temporary, asyncio.Runner() as runner, torch.inference_mode():
        vllm = VllmProcess(Path(temporary) / "vllm.log")
        vllm.launch()
        try:
            measure(served(make_adapters(Path(temporary))), vllm, runner)
        finally:
            vllm.kill()


def measure(folders: dict[str, Path], vllm: VllmProcess, runner: asyncio.Runner) -> None:
    model, peft = base_model(), with_adapters(base_model(), folders)
    slots = Slots(model, 9)
    for domain in DOMAINS:
        tensors = safetensors.torch.load_file(folders[domain] / "adapter_model.safetensors")
        slots.add(domain, slots.read(config(tensors), tensors))
    check_equal(slots, model, peft)
    print(f"equal to PEFT: the logits of {len(DOMAINS)} adapters")
    loaded = load_base(base_folder())
    endless = replace(loaded, vocabulary=replace(loaded.vocabulary, ends=frozenset()))
    ours = Ours(HfEngine(endless, max_batch=8, threads=2), {domain: (folder, adapter_digest(folder)) for domain, folder in folders.items()})
    vllm.wait()
    folder = folders[DOMAINS[0]]
    runs: dict[str, Callable[[], float]] = {
        "copy": lambda: copied(slots, folder),
        "whole": lambda: runner.run(whole(ours)),
        "PEFT": lambda: peft_loads(peft, folder),
        "vLLM": lambda: vllm_loads(vllm, folder),
    }
    took = medians(runs, ROUNDS)
    vllm.kill()
    gc.freeze()  # as the server does when its engine is there; here the peers' objects are among them
    gaps = StreamGaps()
    for _ in range(LOADS // LOADS_OF_A_STREAM):
        runner.run(under_load(ours, gaps))
    gc.unfreeze()  # or libraries complain at the end of what they think is leaked
    ours.engine.close()
    step = median(gaps.alone)
    print(f"{LOADS} loads and unloads under {STREAMS} streams, none dropped; a step takes {1000 * step:.0f} ms")
    print(f"beside them, file to live takes {1000 * median(gaps.loads):.0f} ms")
    for when, some in ("beside a load", gaps.beside), ("without", gaps.alone):
        steps = ", ".join(f"{name} {quantile(some, at) / step:.2f}" for name, at in QUANTILES.items())
        print(f"gaps {when}, in steps: {steps}; of {len(some)}")
    report("hot-load", rows_of(took, gaps))


def rows_of(took: dict[str, float], gaps: StreamGaps) -> list[Row]:
    ms = {name: 1000 * spent for name, spent in took.items()}
    peers = (("peft load_adapter", "PEFT"), ("vLLM load_lora_adapter", "vLLM"))
    rows = [lower_is_better("file to slot, beside digest and probe (goal 30)", "ms", ms["copy"], peer, ms[name]) for peer, name in peers]
    rows += [lower_is_better("file to live, digest, checks, probe (goal 200)", "ms", ms["whole"], peer, ms[name]) for peer, name in peers]
    beside, alone = (1000 * quantile(some, 0.999) for some in (gaps.beside, gaps.alone))
    for peer, theirs in ("2 steps", 2000 * median(gaps.alone)), ("the same without loads", alone):
        rows.append(lower_is_better("gap between two tokens, p99.9 (goal 2 steps)", "ms", beside, peer, theirs))
    return rows


def quantile(seconds: list[float], at: float) -> float:
    return sorted(seconds)[int(at * (len(seconds) - 1))]


if __name__ == "__main__":
    main()
