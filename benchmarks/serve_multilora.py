"""Eight streams at once, on the base and over four adapters: tokens per second of ours, transformers, PEFT and vLLM.

Same weights, float32, two threads, greedy, as many tokens each. First every row of ours must be what PEFT says alone with its adapter,
token by token; only where the two likeliest tokens are closer than NEAR_TIE may they part.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import torch
from safetensors.torch import load_file, save

from builders_adapters import base_folder
from interleaved import medians
from lora_models import DOMAINS, QUESTIONS, base_model, config, generate, make_adapters, padded, prompts, quiet, with_adapters
from report import Row, higher_is_better, report
from tuneloop_server.engine.base import AdapterWeights, Generation, Message, Sampling
from tuneloop_server.engine.hf import HfEngine
from tuneloop_server.engine.loading import load_base
from vllmprocess import VllmProcess

T = TypeVar("T")

TOKENS, ROUNDS, THREADS = 48, 3, 2
NEAR_TIE = 1e-3
MIXED = tuple(DOMAINS[n % len(DOMAINS)] for n in range(len(QUESTIONS)))
"""The adapter of each stream."""


class Ours:
    """The engine as the server runs it, without HTTP."""

    def __init__(self, folders: dict[str, Path]) -> None:
        loaded = load_base(base_folder())
        spoken = replace(loaded.vocabulary, decode=lambda ids: "".join(f" {token}" for token in ids), ends=frozenset())
        self._engine = HfEngine(replace(loaded, vocabulary=spoken), max_batch=len(QUESTIONS), threads=THREADS)
        self._loop = asyncio.new_event_loop()
        for name, folder in folders.items():
            self._loop.run_until_complete(self._engine.load(name, read(folder)))

    def answer(self, adapters: Sequence[str | None]) -> list[list[int]]:
        """Token ids of all streams at once."""
        return self._loop.run_until_complete(self._all(adapters))

    async def _all(self, adapters: Sequence[str | None]) -> list[list[int]]:
        return await asyncio.gather(*(self._one(question, adapter) for question, adapter in zip(QUESTIONS, adapters, strict=True)))

    async def _one(self, question: str, adapter: str | None) -> list[int]:
        answer = await self._engine.generate(Generation((Message("user", question),), Sampling(TOKENS, temperature=0.0), adapter))
        return [int(token) for piece in [piece.text async for piece in answer.pieces()] for token in piece.split()]

    def in_its_thread(self, work: Callable[[], T]) -> T:
        """Where the peers compute too: a second thread with a pool of its own would slow both down (see HfEngine)."""
        return self._engine._worker.call(work).result()

    def close(self) -> None:
        self._engine.close()
        self._loop.close()


def read(folder: Path) -> AdapterWeights:
    tensors = load_file(folder / "adapter_model.safetensors")
    return AdapterWeights(config(tensors), save(tensors))


class Vllm:
    """On loopback, one client a stream."""

    def __init__(self, folder: Path, folders: dict[str, Path]) -> None:
        self._process = VllmProcess(folder / "vllm.log")
        self._folders = folders
        self._process.launch()

    def wait(self) -> None:
        self._process.wait()
        for name, folder in self._folders.items():
            body = {"lora_name": name, "lora_path": str(folder)}
            httpx.post(f"{self._process.url}/v1/load_lora_adapter", json=body, timeout=120).raise_for_status()

    def answer(self, adapters: Sequence[str | None]) -> None:
        with ThreadPoolExecutor(len(QUESTIONS)) as pool:
            list(pool.map(self._ask, QUESTIONS, adapters))

    def _ask(self, question: str, adapter: str | None) -> None:
        body = {
            "model": adapter or str(base_folder()), "messages": [{"role": "user", "content": question}],
            "temperature": 0, "max_tokens": TOKENS, "ignore_eos": True,
        }  # fmt: skip
        answer = httpx.post(f"{self._process.url}/v1/chat/completions", json=body, timeout=300).raise_for_status().json()
        assert answer["usage"]["completion_tokens"] == TOKENS, answer["usage"]

    def close(self) -> None:
        self._process.kill()


def seconds(work: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return timed


def swapped(model: Any, rows: Sequence[Sequence[int]], folders: dict[str, Path]) -> None:
    """As the original served: one adapter in the model at a time, those who want another wait."""
    for domain in DOMAINS:
        with quiet():
            model.load_adapter(folders[domain], adapter_name=f"{domain}-again")
        model.set_adapter(f"{domain}-again")
        generate(model, [row for row, wanted in zip(rows, MIXED, strict=True) if wanted == domain], TOKENS)
        model.delete_adapter(f"{domain}-again")


def check_equal(ours: Ours, peft: Any, rows: Sequence[Sequence[int]]) -> None:
    """Raises AssertionError where a row parts from PEFT alone, but for near ties."""
    for number, (row, adapter, got) in enumerate(zip(rows, MIXED, ours.answer(MIXED), strict=True)):
        peft.set_adapter(adapter)
        compare(peft, row, got, generate(peft, [row], TOKENS)[0], f"stream {number}, {adapter}")
    with peft.disable_adapter():
        for number, (row, got) in enumerate(zip(rows, ours.answer([None] * len(rows)), strict=True)):
            compare(peft, row, got, generate(peft, [row], TOKENS)[0], f"stream {number}, base")


def compare(model: Any, row: Sequence[int], got: list[int], want: list[int], what: str) -> None:
    parted = next((n for n, (a, b) in enumerate(zip(got, want, strict=True)) if a != b), None)
    if parted is None:
        return
    with torch.inference_mode():
        logits = model(**padded([[*row, *want[:parted]]])).logits[0, -1]
    best = logits.topk(2).values
    gap = float(best[0] - best[1])
    assert gap < NEAR_TIE, f"{what} parts from PEFT at token {parted}, where the two likeliest differ by {gap:.4f}"
    print(f"  {what}: a near tie at token {parted} ({gap:.1e})")


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        folders = make_adapters(Path(temporary))
        vllm = Vllm(Path(temporary), folders)
        plain, ours = base_model(), Ours(folders)
        peft = with_adapters(base_model(), folders)
        rows = prompts()
        try:
            check_equal(ours, peft, rows)
            print(f"equal to PEFT alone: {2 * len(rows)} streams of {TOKENS} tokens")
            vllm.wait()
            with torch.inference_mode():
                took = medians(runs(ours, plain, peft, vllm, rows, folders), ROUNDS)
        finally:
            ours.close()
            vllm.close()
    report("serve-multilora", rows_of({name: TOKENS * len(QUESTIONS) / spent for name, spent in took.items()}))


def runs(
    ours: Ours, plain: Any, peft: Any, vllm: Vllm, rows: Sequence[Sequence[int]], folders: dict[str, Path]
) -> dict[str, Callable[[], float]]:
    """Seconds for all streams, by name."""
    none = [None] * len(rows)
    return {
        "ours, base": seconds(lambda: ours.answer(none)),
        "generate, base": seconds(lambda: ours.in_its_thread(lambda: generate(plain, rows, TOKENS))),
        "vLLM, base": seconds(lambda: vllm.answer(none)),
        "ours, adapters": seconds(lambda: ours.answer(MIXED)),
        "PEFT mixed": seconds(lambda: ours.in_its_thread(lambda: generate(peft, rows, TOKENS, adapter_names=list(MIXED)))),
        "PEFT swapped": seconds(lambda: ours.in_its_thread(lambda: swapped(peft, rows, folders))),
        "vLLM, adapters": seconds(lambda: vllm.answer(MIXED)),
    }


def rows_of(speed: dict[str, float]) -> list[Row]:
    base, mixed = "8 streams, no adapter", "8 streams over 4 adapters"
    plain, adapted = speed["ours, base"], speed["ours, adapters"]
    return [
        higher_is_better(base, "tokens/s", plain, "transformers generate", speed["generate, base"]),
        higher_is_better(base, "tokens/s", plain, "vLLM on CPU", speed["vLLM, base"]),
        higher_is_better(mixed, "tokens/s", adapted, "ours without adapters", plain),
        higher_is_better(mixed, "tokens/s", adapted, "transformers generate without adapters", speed["generate, base"]),
        higher_is_better(mixed, "tokens/s", adapted, "PEFT, adapter_names", speed["PEFT mixed"]),
        higher_is_better(mixed, "tokens/s", adapted, "PEFT, load_adapter and set_adapter", speed["PEFT swapped"]),
        higher_is_better(mixed, "tokens/s", adapted, "vLLM on CPU", speed["vLLM, adapters"]),
    ]


if __name__ == "__main__":
    main()
