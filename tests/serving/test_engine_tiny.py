"""The decoding loop on tiny random models."""

import asyncio
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from threading import Event
from typing import NoReturn

import pytest
import torch

from serving.tiny import PROMPTS, asked, decode, plain, running, text_of, tiny
from tuneloop_server.engine.base import Answer, Sampling
from tuneloop_server.engine.hf import QUEUE_PER_ROW, HfEngine
from tuneloop_server.engine.kv import RowCache, RowLayer
from tuneloop_server.engine.row import Row, Vocabulary
from tuneloop_server.engine.scheduler import Scheduler
from tuneloop_server.engine.slots import Slots
from tuneloop_server.engine.worker import Worker
from tuneloop_server.errors import ApiError, GenerationFailed, PromptTooLong, TryLater, Unavailable

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("kind", ["llama", "sliding window"])
async def test_rows_of_every_length_that_come_and_go_say_what_each_says_alone(kind: str) -> None:
    requests = [asked(prompt, tokens=3 + 5 * n) for n, prompt in enumerate(PROMPTS)]
    async with running(kind, max_batch=3) as engine:
        together = await asyncio.gather(*(text_of(engine, request) for request in requests))
    assert together == [plain(kind, request) for request in requests]


async def test_rows_that_outgrow_their_room_say_what_each_says_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneloop_server.engine.kv.FIRST_ROOM", 4)
    requests = [asked(prompt, tokens=60) for prompt in PROMPTS[:3]]
    async with running() as engine:
        together = await asyncio.gather(*(text_of(engine, request) for request in requests))
    assert together == [plain("llama", request) for request in requests]


async def test_of_rows_that_outgrow_their_room_one_layer_a_step_is_moved_ahead_of_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none for tokens that no row will have: the last room is as long as the longest row."""
    monkeypatch.setattr("tuneloop_server.engine.kv.FIRST_ROOM", 32)
    rooms: list[tuple[int, ...]] = []
    look_ahead = RowCache.look_ahead

    def watched(cache: RowCache, tokens: int, most: int) -> None:
        look_ahead(cache, tokens, most)
        rooms.append(tuple(layer.room for layer in cache.layers if isinstance(layer, RowLayer)))

    monkeypatch.setattr(RowCache, "look_ahead", watched)
    async with running() as engine:
        assert await text_of(engine, asked("a", 63)) == plain("llama", asked("a", 63))
    moved = [sum(a != b for a, b in zip(before, after, strict=True)) for before, after in pairwise(rooms)]
    assert (set(moved), sum(moved), rooms[-1]) == ({0, 1}, 3, (64, 64, 64))


async def test_a_prompt_read_in_parts_is_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneloop_server.engine.scheduler.PREFILL_TOKENS", 7)
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


@pytest.mark.parametrize("sampling", [{"temperature": 5e-324}, {"temperature": 1.0, "top_p": 5e-324}, {"temperature": 1e-5, "top_p": 1e-9}])
async def test_the_smallest_temperature_and_nucleus_leave_the_likeliest_token(sampling: dict[str, float]) -> None:
    async with running() as engine:
        assert await text_of(engine, asked("hello", **sampling)) == plain("llama", asked("hello"))


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
            with pytest.raises(GenerationFailed):
                await text_of(engine, asked("hello"))
        assert await text_of(engine, asked("hello")) == plain("llama", asked("hello"))


async def test_a_prompt_that_finds_no_seat_is_told_so_and_the_next_one_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as engine:
        with monkeypatch.context() as full:
            full.setattr("tuneloop_server.engine.kv.RowCache.put", lambda *_: 1 / 0)  # as when memory runs out
            with pytest.raises(GenerationFailed):
                async with asyncio.timeout(20):
                    await text_of(engine, asked("hello"))
        assert await text_of(engine, asked("hello")) == plain("llama", asked("hello"))


async def test_a_prompt_that_cannot_begin_is_told_so_and_leaves_its_neighbours_alone() -> None:
    async with running() as engine:
        neighbour = asyncio.create_task(text_of(engine, asked("hello there", 60)))
        with pytest.raises(GenerationFailed):
            async with asyncio.timeout(20):
                await text_of(engine, asked("hello", adapter="nobody's"))
        assert await neighbour == plain("llama", asked("hello there", 60))


def test_an_order_that_is_called_off_is_not_carried_out_and_the_next_one_is() -> None:
    done: list[str] = []
    hold = Event()
    loaded = tiny("llama")
    worker = Worker(Scheduler(loaded.model, Slots(loaded.model, 1), 1))
    worker.start()
    try:
        worker.call(lambda: hold.wait(20))
        called_off = worker.call(lambda: done.append("called off"))
        assert called_off.cancel()
        hold.set()
        worker.call(lambda: done.append("next")).result(20)
    finally:
        worker.close()
    assert done == ["next"]


def test_rows_wait_for_one_piece_of_work_between_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    at: list[int] = []
    hold = Event()
    loaded = tiny("llama")
    scheduler = Scheduler(loaded.model, Slots(loaded.model, 1), 1)
    turn = scheduler.turn
    monkeypatch.setattr(scheduler, "turn", lambda: (turns.append(0), turn()))
    worker = Worker(scheduler)
    worker.start()
    try:
        worker.call(lambda: hold.wait(20))
        worker.submit(Row([5], Sampling(200, temperature=0.0), None, loaded.vocabulary, lambda _: None))
        last = [worker.call(lambda: at.append(len(turns))) for _ in range(3)][-1]
        hold.set()
        last.result(20)
    finally:
        worker.close()
    assert at == [0, 1, 2]


async def test_closing_fails_what_still_runs() -> None:
    async with running() as engine:
        answer = await engine.generate(asked("x", 240))
    with pytest.raises(ApiError):
        [piece async for piece in answer.pieces()]


async def test_a_worker_that_broke_says_so_and_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as engine:
        too_late: list[Future[None]] = []

        def breaks(_: Scheduler) -> NoReturn:
            too_late.append(engine._worker.call(lambda: None))
            sys.exit()

        answer = await engine.generate(asked("x", 240))
        monkeypatch.setattr(Scheduler, "turn", breaks)
        with pytest.raises(Unavailable):
            [piece async for piece in answer.pieces()]
        with pytest.raises(Unavailable):
            too_late[0].result(20)
        engine._worker.join(20)
        assert engine.broken
        assert not engine.ready
        with pytest.raises(Unavailable):
            await engine.generate(asked("hello"))
        with pytest.raises(Unavailable):
            await engine.unload("a")


@pytest.mark.parametrize("place", ["batch.Batch.step", "scheduler.Prefill"])
async def test_a_device_that_is_lost_is_not_used_again(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> NoReturn:
        raise torch.AcceleratorError("device-side assert triggered")

    async with running() as engine:
        monkeypatch.setattr(f"tuneloop_server.engine.{place}", lost)
        with pytest.raises(GenerationFailed):
            await text_of(engine, asked("hello"))
        engine._worker.join(20)
        assert engine.broken


def test_the_cores_are_the_workers() -> None:
    """Another thread with a pool of its own would put all of them to sleep between two products."""
    before = torch.get_num_threads()
    engine = HfEngine(tiny("llama"), 4, threads=2)
    try:
        assert engine._worker.call(torch.get_num_threads).result() == 2
        assert torch.get_num_threads() == 1
        with ThreadPoolExecutor(1) as others:
            assert others.submit(torch.get_num_threads).result() == 1
    finally:
        engine.close()
        torch.set_num_threads(before)
