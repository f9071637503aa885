"""The decoding loop on tiny random models: fast, and hard, since their logits are nearly flat."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from tuneloop_server.engine.base import Answer, BaseFacts, Generation, Message, Sampling
from tuneloop_server.engine.hf import QUEUE_PER_ROW, HfEngine
from tuneloop_server.engine.loading import Loaded, linears
from tuneloop_server.engine.row import Vocabulary
from tuneloop_server.errors import ApiError, Failed, PromptTooLong, TryLater

SIZE: dict[str, Any] = {
    "vocab_size": 120, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices this small only suffer from several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class LetterTokenizer:
    """One token a character; token n is chr(n)."""

    eos_token_id = 1

    def apply_chat_template(self, turns: list[dict[str, str]], **_: Any) -> str:
        return "".join(turn["content"] for turn in turns)

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) % 118 + 2 for letter in text]}


def decode(ids: Any) -> str:
    return "".join(chr(0x4E00 + token) for token in ids if token > 1)


def tiny(kind: str) -> Loaded:
    torch.manual_seed(3)
    windowed = MistralConfig(**SIZE, sliding_window=6)
    model: Any = LlamaForCausalLM(LlamaConfig(**SIZE)) if kind == "llama" else MistralForCausalLM(windowed)
    model.eval().requires_grad_(False)
    facts = BaseFacts("sha256:tiny", 256, linears(model), "tiny")
    return Loaded(model, LetterTokenizer(), Vocabulary(decode, frozenset({1})), facts)


@asynccontextmanager
async def running(kind: str = "llama", max_batch: int = 4) -> AsyncIterator[HfEngine]:
    engine = HfEngine(tiny(kind), max_batch)
    try:
        yield engine
    finally:
        engine.close()


def asked(text: str, tokens: int = 20, **sampling: Any) -> Generation:
    return Generation((Message("user", text),), Sampling(tokens, **({"temperature": 0.0} | sampling)), None)


async def text_of(engine: HfEngine, request: Generation) -> str:
    answer = await engine.generate(request)
    return "".join([piece.text async for piece in answer.pieces()])


def plain(kind: str, request: Generation) -> str:
    """What transformers' own generate says."""
    loaded = tiny(kind)
    prompt = torch.tensor([LetterTokenizer()(request.messages[0].content)["input_ids"]])
    made = loaded.model.generate(prompt, max_new_tokens=request.sampling.max_tokens, do_sample=False)
    return decode(made[0, prompt.shape[1] :].tolist())


PROMPTS = ["a", "hello there", "the quick brown fox jumps over the lazy dog", "zz", "x" * 100, "another one", "q?", "the end"]


@pytest.mark.parametrize("kind", ["llama", "sliding window"])
async def test_rows_of_every_length_that_come_and_go_say_what_each_says_alone(kind: str) -> None:
    requests = [asked(prompt, tokens=3 + 5 * n) for n, prompt in enumerate(PROMPTS)]
    async with running(kind, max_batch=3) as engine:
        together = await asyncio.gather(*(text_of(engine, request) for request in requests))
    assert together == [plain(kind, request) for request in requests]


async def test_a_prompt_read_in_parts_is_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneloop_server.engine.lane.PREFILL_TOKENS", 7)
    request = asked("x" * 40 + "something long enough for six parts")
    async with running() as engine:
        got, _ = await asyncio.gather(text_of(engine, request), text_of(engine, asked("short", 30)))
    assert got == plain("llama", request)


async def test_a_seed_repeats_whatever_its_neighbours() -> None:
    request = asked("hello", temperature=1.0, top_p=0.9, seed=5)
    async with running() as engine:
        alone = await text_of(engine, request)
        crowded, *_ = await asyncio.gather(text_of(engine, request), *(text_of(engine, asked(p, temperature=1.0)) for p in PROMPTS[:3]))
        other = await text_of(engine, replace(request, sampling=replace(request.sampling, seed=6)))
    assert alone == crowded
    assert alone != other


async def test_the_end_token_ends_a_row() -> None:
    ends_early = tiny("llama")
    ends_early.model.lm_head.weight[1] = 10.0 * ends_early.model.lm_head.weight[100]
    always = replace(ends_early, vocabulary=Vocabulary(decode, frozenset(range(120))))
    engine = HfEngine(always, 4)
    try:
        answer = await engine.generate(asked("x"))
        pieces = [piece async for piece in answer.pieces()]
    finally:
        engine.close()
    assert [(piece.finish, piece.tokens) for piece in pieces] == [("stop", 1)]


async def test_a_prompt_without_room_for_an_answer_is_refused_and_a_long_answer_is_cut_at_the_context() -> None:
    async with running() as engine:
        with pytest.raises(PromptTooLong, match="256"):
            await engine.generate(asked("x" * 256))
        answer = await engine.generate(asked("x" * 250, tokens=100))
        pieces = [piece async for piece in answer.pieces()]
    assert (sum(piece.tokens for piece in pieces), pieces[-1].finish) == (6, "length")


async def test_a_full_queue_says_try_later_and_cancelling_makes_room() -> None:
    async with running(max_batch=1) as engine:
        answers: list[Answer] = []
        with pytest.raises(TryLater) as refused:
            await fill(engine, answers, 2 * QUEUE_PER_ROW)
        assert refused.value.retry_after
        assert len(answers) >= QUEUE_PER_ROW
        for answer in answers:
            answer.cancel()
        assert await text_of(engine, asked("hello")) == plain("llama", asked("hello"))
        assert engine.pressure().waiting == 0


async def fill(engine: HfEngine, answers: list[Answer], count: int) -> None:
    for _ in range(count):
        answers.append(await engine.generate(asked("x", 200)))


async def test_a_row_that_breaks_takes_only_its_batch_along(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as engine:
        with monkeypatch.context() as broken:
            broken.setattr("tuneloop_server.engine.batch.Batch.step", lambda *_: 1 / 0)
            with pytest.raises(Failed):
                await text_of(engine, asked("hello"))
        assert await text_of(engine, asked("hello")) == plain("llama", asked("hello"))


async def test_no_adapter_starves_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one lane is kept full for good, a request on another gets its answer."""
    async with running(max_batch=2) as engine:
        crowd = [await engine.generate(asked("x", 200)) for _ in range(20)]
        other = replace(asked("hello", 10), adapter="other")
        monkeypatch.setattr(engine._adapters, "use", lambda _: None)
        assert await text_of(engine, other) == plain("llama", asked("hello", 10))
        assert engine.pressure().waiting > 0
        for answer in crowd:
            answer.cancel()


async def test_closing_fails_what_still_runs() -> None:
    async with running() as engine:
        answer = await engine.generate(asked("x", 240))
    with pytest.raises(ApiError):
        [piece async for piece in answer.pieces()]
