"""Rows of many adapters in one batch, on tiny random models: each row says what PEFT says with its adapter alone."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from threading import Event

import pytest
import torch

from serving.tiny import PROMPTS, Adapter, asked, plain, running, text_of, tiny
from tuneloop_server.engine.base import AdapterWeights, Answer, Generation
from tuneloop_server.engine.batch import standing
from tuneloop_server.engine.hf import HfEngine
from tuneloop_server.engine.linear import SlotRun
from tuneloop_server.engine.scheduler import Scheduler
from tuneloop_server.engine.slots import arrange
from waiting import until

pytestmark = pytest.mark.usefixtures("one_thread")

A, B, C = Adapter("a"), Adapter("b", rank=2, targets=("q_proj", "o_proj")), Adapter("c", rank=6, rslora=True)
BY_NAME = {adapter.name: adapter for adapter in (A, B, C)}


def wanted(request: Generation, kind: str = "llama") -> str:
    model = tiny(kind).model
    return plain(BY_NAME[request.adapter].on(model) if request.adapter else model, request)


async def load(engine: HfEngine, *adapters: Adapter) -> None:
    for adapter in adapters:
        assert await engine.load(adapter.name, adapter.weights()) > 0


def requests(names: Sequence[str | None]) -> list[Generation]:
    return [asked(prompt, tokens=6 + 3 * n, adapter=name) for n, (prompt, name) in enumerate(zip(PROMPTS, names, strict=False))]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["a", "b", "c", "a", "b", "c"], id="as many rows each"),
        pytest.param(["a", "a", "a", "b"], id="one has more"),
        pytest.param([None, "c", None, "a", "b", None, "c", "c"], id="and the base"),
        pytest.param(["b", None], id="one alone"),
        pytest.param(["c", "a"], id="in the order of their coming"),
    ],
)
async def test_each_row_says_what_peft_says_with_its_adapter_alone(names: list[str | None]) -> None:
    async with running(max_batch=8) as engine:
        await load(engine, A, B, C)
        together = await asyncio.gather(*(text_of(engine, request) for request in requests(names)))
    assert together == [wanted(request) for request in requests(names)]
    assert len({*together}) == len(together)


@pytest.mark.parametrize(("packed", "columns"), [(True, False), (False, True), (False, False)])
async def test_every_way_to_multiply_says_the_same(packed: bool, columns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever is the fastest here."""
    monkeypatch.setattr("tuneloop_server.engine.product.PACKED_FROM", 0 if packed else math.inf)
    monkeypatch.setattr("tuneloop_server.engine.product.columns_are_faster", lambda _: columns)
    names = ["a", "b", None]
    async with running() as engine:
        await load(engine, A, B)
        together = await asyncio.gather(*(text_of(engine, request) for request in requests(names)))
    assert together == [wanted(request) for request in requests(names)]


async def test_rows_come_and_go_over_few_seats_and_more_adapters_than_slots() -> None:
    names = ["a", "b", "c", None, "c", "b", "a", "a"]
    async with running(max_batch=1) as engine:
        await load(engine, A, B, C)
        together = await asyncio.gather(*(text_of(engine, request) for request in requests(names)))
    assert together == [wanted(request) for request in requests(names)]


async def test_a_model_whose_rows_cannot_share_memory_takes_adapters_too() -> None:
    async with running("sliding window") as engine:
        await load(engine, A, C)
        asks = requests(["a", "c", None])
        together = await asyncio.gather(*(text_of(engine, request) for request in asks))
    assert together == [wanted(request, "sliding window") for request in asks]


async def test_an_adapter_of_a_higher_rank_comes_while_others_are_decoded() -> None:
    high = Adapter("high", rank=24)
    async with running() as engine:
        await load(engine, A)
        answer = await engine.generate(asked("hello there", 40, adapter="a"))
        coming = aiter(answer.pieces())
        pieces = [await anext(coming)]
        await load(engine, high)
        got = await text_of(engine, asked("zz", 20, adapter="high"))
        pieces += [piece async for piece in coming]
    assert got == plain(high.on(tiny("llama").model), asked("zz", 20))
    assert "".join(piece.text for piece in pieces) == wanted(asked("hello there", 40, adapter="a"))


async def test_what_was_in_the_memory_of_a_slot_is_nobodys_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the adapters that come, the second changes other layers than the first, and the third has a higher rank."""
    high = Adapter("high", rank=24)
    new_empty = torch.Tensor.new_empty
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda *size, **how: new_empty(*size, **how).fill_(math.nan))
    async with running() as engine:
        await load(engine, A, B, high)
        together = await asyncio.gather(*(text_of(engine, request) for request in requests(["a", "b", None])))
    assert together == [wanted(request) for request in requests(["a", "b", None])]


async def test_an_adapter_whose_numbers_break_shows_in_its_probe_and_leaves_its_neighbours_alone() -> None:
    broken = Adapter("broken", scale=1e30)
    async with running() as engine:
        await load(engine, A)
        assert not torch.isfinite(torch.tensor(await engine.load("broken", broken.weights())))
        asks = [asked("hello there", 12, adapter="a"), asked("zz", 12), asked("q?", 12, adapter="broken")]
        near_a, near_base, _ = await asyncio.gather(*(text_of(engine, request) for request in asks))
    assert (near_a, near_base) == (wanted(asks[0]), wanted(asks[1]))


@pytest.mark.parametrize("kind", ["llama", "sliding window"])
@pytest.mark.parametrize("scale", [1.0, 0.0])
async def test_an_answer_goes_on_between_two_parts_of_a_probe_which_finds_the_same(
    kind: str, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[None] = []
    turn, hold = Scheduler.turn, Event()
    monkeypatch.setattr(Scheduler, "turn", lambda scheduler: (turns.append(None), turn(scheduler)))
    adapter, request = replace(C, scale=scale), asked("hello there", 60, adapter="b")

    async with running(kind) as engine:

        def probed() -> tuple[float, int]:
            before = len(turns)
            return engine._probe.max_delta("c", engine._worker.go_on), len(turns) - before

        await load(engine, B)
        alone = await engine.load("c", adapter.weights())
        engine._worker.call(lambda: hold.wait(20))
        answer = asyncio.create_task(text_of(engine, request))
        await until(lambda: engine.pressure().waiting)
        beside = engine._worker.call(lambda: None), engine._worker.call(probed)  # the first when the answer has begun
        hold.set()
        assert await answer == wanted(request, kind)
    assert beside[1].result() == (alone, 2)
    assert (alone > 0) == bool(scale)


async def test_a_name_that_is_free_again_is_another_adapters() -> None:
    async with running() as engine:
        await engine.load("x", A.weights())
        first = await text_of(engine, asked("hello", 12, adapter="x"))
        await engine.unload("x")
        await engine.load("x", C.weights())
        second = await text_of(engine, asked("hello", 12, adapter="x"))
    assert (first, second) == (wanted(asked("hello", 12, adapter="a")), wanted(asked("hello", 12, adapter="c")))


async def test_a_flood_for_one_adapter_does_not_keep_another_waiting() -> None:
    """While every row is one adapter's and its queue is long, another's request is the next that gets a row."""
    async with running(max_batch=2) as engine:
        await load(engine, A, B)
        crowd: list[Answer] = [await engine.generate(asked("x", 20, adapter="a")) for _ in range(20)]
        assert await text_of(engine, asked("hello", 10, adapter="b")) == wanted(asked("hello", 10, adapter="b"))
        assert engine.pressure().waiting > 10
        for answer in crowd:
            answer.cancel()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"target_modules": ["q_proj"]}, id="not targeted"),
        pytest.param({"target_modules": ["k_proj", "proj"]}, id="a target that is only the end of a name"),
    ],
)
async def test_tensors_that_fit_nowhere_are_refused_and_leave_nothing_behind(change: dict[str, object]) -> None:
    async with running() as engine:
        good = A.weights()
        with pytest.raises(ValueError, match="fit nowhere"):
            await engine.load("a", AdapterWeights({**good.config, **change}, good.weights))
        await engine.load("a", good)
        assert await text_of(engine, asked("hello", adapter="a")) == wanted(asked("hello", adapter="a"))


@pytest.mark.parametrize(
    ("used", "want"),
    [
        pytest.param([3, 3, 4, 4], [SlotRun(slice(3, 5), slice(0, 4), 8)], id="as many rows each"),
        pytest.param([2], [SlotRun(slice(2, 3), slice(0, 1), 4)], id="one alone"),
        pytest.param([0, 1, 1, 2, 2], [SlotRun(slice(0, 1), slice(0, 1), 4), SlotRun(slice(1, 3), slice(1, 5), 4)], id="one has fewer"),
        pytest.param(
            [1, 3], [SlotRun(slice(1, 2), slice(0, 1), 4), SlotRun(slice(3, 4), slice(1, 2), 4)], id="a slot between that nobody uses"
        ),
        pytest.param([], [], id="the base alone"),
    ],
)
def test_slots_with_as_many_rows_each_are_served_together(used: list[int], want: list[SlotRun]) -> None:
    assert arrange(used, {0: 4, 1: 4, 2: 4, 3: 4, 4: 8}) == tuple(want)


@pytest.mark.parametrize(
    ("orders", "want"),
    [
        pytest.param({1: "z", 2: "z", 3: "z"}, [3, 1, 2], id="the last one takes the place of the first"),
        pytest.param({0: "z", 1: "z"}, [0, 1], id="nobody moves"),
        pytest.param({1: "a", 2: "a", 3: "b", 4: "z", 5: "z"}, [2, 1, 3, 5, 4], id="one of each adapter moves up"),
        pytest.param({0: "a", 1: "z", 2: "z", 3: "a"}, [0, 3, 2, 1], id="one that came last stands with its own"),
    ],
)
def test_few_rows_move_when_others_come_and_go(orders: dict[int, str], want: list[int]) -> None:
    """By the orders of those that stay; z is the base's."""
    assert standing({row: (order == "z", ord(order)) for row, order in orders.items()}) == want
