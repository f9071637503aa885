"""The vLLM engine against a stub (see vllmstub): what happens when vLLM lies, fails, hangs or goes away."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from safetensors.numpy import save_file

import vllmstub
from builders_adapters import provenance
from ports import free_port
from tuneloop_contracts.adapters import CONFIG_FILE, PROVENANCE_FILE, WEIGHTS_FILE, adapter_digest
from tuneloop_contracts.base import base_digest
from tuneloop_contracts.manifest import AdapterManifest, ManifestAdapter
from tuneloop_contracts.names import revision_name
from tuneloop_contracts.pods import AdapterState, LoadFault
from tuneloop_server.adapters.service import AdapterService
from tuneloop_server.engine.base import BARE, AdapterWeights, Generation, Message, Pressure, Sampling
from tuneloop_server.engine.vllm import client as client_module
from tuneloop_server.engine.vllm import engine as engine_module
from tuneloop_server.engine.vllm.adapters import NotLoaded
from tuneloop_server.engine.vllm.connect import connected
from tuneloop_server.engine.vllm.engine import VllmEngine
from tuneloop_server.engine.vllm.outline import linears
from tuneloop_server.errors import ApiError, BadRequest, GenerationFailed, PromptTooLong, TryLater, Unavailable
from tuneloop_server.notifier import ChangeNotifier
from tuneloop_server.settings import BadSettings, Settings
from vllmstub import VllmStub
from waiting import until

ADAPTER = AdapterWeights({"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}, b"weights")


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr("tuneloop_server.engine.vllm.connect.LOOK_SECONDS", 0.02)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model's folder, as far as its outline goes."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"vocab_size": 10}))
    shapes = {"model.embed_tokens": (10, 4), "model.layers.0.q_proj": (6, 4), "lm_head": (10, 4)}
    tensors = {f"{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    save_file(tensors | {"model.norm.weight": np.zeros(4, np.float32), "model.layers.0.q_proj.bias": np.zeros(6, np.float32)},
              folder / "model.safetensors")  # fmt: skip
    return folder


@pytest.fixture
async def stub(base: Path) -> AsyncIterator[VllmStub]:
    async with vllmstub.running(str(base)) as stub:
        yield stub


def settings_for(stub: VllmStub, base: Path, **changes: Any) -> Settings:
    settings = Settings(base, "tiny", engine="vllm", vllm_url=stub.url, vllm_adapters=base.parent / "shared", max_batch=1)
    return replace(settings, **changes)


@asynccontextmanager
async def engine_on(stub: VllmStub, base: Path) -> AsyncIterator[VllmEngine]:
    """With vLLM's first look behind it."""
    async with connected(settings_for(stub, base)) as engine:
        await until(lambda: engine.ready)
        yield engine


def asked(text: str, adapter: str | None = None, tokens: int = 20, **sampling: Any) -> Generation:
    return Generation((Message("user", text),), Sampling(tokens, **sampling), adapter)


async def text_of(engine: VllmEngine, request: Generation) -> str:
    answer = await engine.generate(request)
    return "".join([piece.text async for piece in answer.pieces()])


def shared(base: Path) -> list[str]:
    return sorted(entry.name for entry in (base.parent / "shared").iterdir())


def contents(folder: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def test_the_outline_is_read_from_the_headers(base: Path) -> None:
    assert linears(base) == {"model.layers.0.q_proj": (6, 4)}


async def test_an_answer_and_what_is_known_of_it(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        assert (engine.facts.context, engine.facts.digest) == (64, base_digest(base))
        answer = await engine.generate(asked("one two three", tokens=2))
        assert (answer.prompt_tokens, engine.pressure()) == (3, Pressure(running=0, waiting=1))
        pieces = [piece async for piece in answer.pieces()]
        assert [(piece.text, piece.tokens, piece.finish) for piece in pieces] == [("one ", 1, ""), ("two ", 1, "length")]
        assert engine.pressure() == Pressure(0, 0)


async def test_a_bare_prompt_is_not_put_into_the_chat_template(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        assert await text_of(engine, Generation((Message(BARE, "once upon a time"),), Sampling(2), None)) == "once upon "
        assert stub.tokenized == {"prompt": "once upon a time", "add_special_tokens": False}


async def test_an_adapter_is_written_loaded_listed_and_gone_again(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        assert await engine.load("support-v1-1a2b3c4d-1", ADAPTER) == pytest.approx(0.5)
        (name,) = stub.adapters
        assert name.startswith("support-v1-1a2b3c4d-1-")
        written = contents(stub.adapters[name])
        assert written["adapter_model.safetensors"] == b"weights"
        assert json.loads(written["adapter_config.json"]) == {"peft_type": "LORA", **ADAPTER.config}
        assert await text_of(engine, asked("one two", "support-v1-1a2b3c4d-1")) == "ONE TWO "
        assert await text_of(engine, asked("one two")) == "one two "
        await engine.unload("support-v1-1a2b3c4d-1")
        assert (stub.adapters, shared(base)) == ({}, [])


async def test_other_weights_never_get_a_name_that_was_used(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        names = set()
        for weights in (b"some", b"other"):
            await engine.load("a-1", replace(ADAPTER, weights=weights))
            names |= set(stub.adapters)
            await engine.unload("a-1")
        assert len(names) == 2


async def test_a_200_for_an_adapter_that_is_not_listed_is_no_success(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        stub.deaf = 1
        with pytest.raises(NotLoaded, match="does not list it"):
            await engine.load("a-1", ADAPTER)
        assert shared(base) == []
        assert await engine.load("a-1", ADAPTER) > 0  # the name is free


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_load_that_is_refused_leaves_nothing_behind(stub: VllmStub, base: Path, status: int) -> None:
    async with engine_on(stub, base) as engine:
        stub.answers["/v1/load_lora_adapter"] = (status, "no")
        with pytest.raises(NotLoaded, match=f"{status} no"):
            await engine.load("a-1", ADAPTER)
        assert (stub.adapters, shared(base), engine.ready) == ({}, [], True)


@pytest.mark.parametrize(
    ("base_says", "adapter_says", "want"),  # of the base: first when it is alone, then beside others
    [
        pytest.param([{"a": -1.0, "b": -2.0}], {"a": -1.0, "b": -2.0}, 0.0, id="nothing at all"),
        pytest.param([{"a": -1.0, "b": -2.0}, {"a": -1.01, "b": -2.0}], {"a": -1.005, "b": -2.0}, 0.0, id="no more than the base"),
        pytest.param([{"a": -1.0, "b": -2.0}, {"a": -1.01, "b": -2.0}], {"a": -1.0, "b": -2.5}, 0.5, id="more than the base"),
        pytest.param([{"a": -1.0, "b": -2.0}, {"a": -3.0, "b": -2.0}], {"a": -1.1, "b": -2.0}, 0.1, id="a base that is not itself"),
        pytest.param([{"a": -1.0, "b": -2.0}], {"c": -1.5, "d": -1.75}, 0.75, id="other tokens altogether"),
        pytest.param([{"a": -1.0, "b": -2.0}], {"a": -1.0, "c": -1.5}, 0.5, id="one other token"),
        pytest.param([{"a": -1.0, "b": -2.0}], {}, math.nan, id="what JSON cannot say"),
    ],
)
async def test_what_the_probe_says(
    stub: VllmStub, base: Path, base_says: list[dict[str, float]], adapter_says: dict[str, float], want: float
) -> None:
    stub.logprobs = {vllmstub.BASE: list(base_says), "adapter": [adapter_says]}
    async with engine_on(stub, base) as engine:
        assert await engine.load("a-1", ADAPTER) == pytest.approx(want, nan_ok=True)


async def test_a_vllm_that_went_away_during_a_load_is_asked_again(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        stub.deaths = 1
        assert await engine.load("a-1", ADAPTER) > 0


async def test_an_adapter_that_kills_vllm_is_not_loaded_for_ever(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        stub.deaths = 2
        with pytest.raises(NotLoaded, match="2 times"):
            await engine.load("a-1", ADAPTER)
        await until(lambda: engine.ready)
        assert await engine.load("b-1", ADAPTER) > 0


async def test_a_vllm_that_restarts_gets_its_adapters_back(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        await engine.load("a-1", ADAPTER)
        before = dict(stub.adapters)
        await stub.stop()
        await until(lambda: not engine.ready)
        with pytest.raises(Unavailable) as refused:
            await engine.generate(asked("x", "a-1"))
        assert refused.value.retry_after
        waiting = asyncio.create_task(engine.load("b-1", ADAPTER))  # whatever is wanted meanwhile waits
        await stub.start()
        assert await waiting > 0
        assert engine.ready
        assert before.items() < stub.adapters.items()
        assert await text_of(engine, asked("one", "a-1")) == "ONE "


async def test_a_restart_that_nobody_saw_shows_at_the_first_request(stub: VllmStub, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LOOK_SECONDS", 60.0)
    async with engine_on(stub, base) as engine:
        await engine.load("a-1", ADAPTER)
        stub.adapters.clear()
        with pytest.raises(Unavailable):
            await engine.generate(asked("one", "a-1"))
        await until(lambda: bool(stub.adapters))
        assert await text_of(engine, asked("one", "a-1")) == "ONE "


async def test_a_vllm_that_is_silent_is_away(stub: VllmStub, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine_on(stub, base) as engine:
        monkeypatch.setattr(client_module, "QUICK", aiohttp.ClientTimeout(total=0.05))
        stub.mute = True
        await until(lambda: not engine.ready)
        with pytest.raises(Unavailable):  # at once: nobody waits for what may never answer
            await engine.generate(asked("one"))
        stub.mute = False
        await until(lambda: engine.ready)
        assert await text_of(engine, asked("one")) == "one "


async def test_an_adapter_that_does_not_come_back_is_lost_alone(stub: VllmStub, base: Path) -> None:
    lost: list[str] = []
    async with engine_on(stub, base) as engine:
        engine.on_lost(lost.append)
        await engine.load("a-1", ADAPTER)
        await engine.load("b-1", ADAPTER)
        stub.deaf = 1
        stub.adapters.clear()
        await until(lambda: bool(stub.adapters))
        assert lost == ["a-1"]
        await until(lambda: engine.ready)
        assert await text_of(engine, asked("one", "b-1")) == "ONE "
        await engine.unload("a-1")


async def test_an_adapter_that_comes_back_without_effect_is_lost(stub: VllmStub, base: Path) -> None:
    lost: list[str] = []
    async with engine_on(stub, base) as engine:
        engine.on_lost(lost.append)
        await engine.load("a-1", ADAPTER)
        stub.logprobs["adapter"] = [{"token_id:7": -1.0}]
        stub.adapters.clear()
        await until(lambda: bool(lost))
        assert lost == ["a-1"]


def make_tiny_adapter(folder: Path, base: Path) -> ManifestAdapter:
    """For the one layer of `base`."""
    folder.mkdir()
    stem = "base_model.model.model.layers.0.q_proj"
    save_file({f"{stem}.lora_A.weight": np.ones((1, 4), np.float32), f"{stem}.lora_B.weight": np.ones((6, 1), np.float32)},
              folder / WEIGHTS_FILE)  # fmt: skip
    (folder / CONFIG_FILE).write_text(json.dumps({"peft_type": "LORA", "r": 1, "lora_alpha": 2, "target_modules": ["q_proj"]}))
    (folder / PROVENANCE_FILE).write_text(json.dumps(provenance(base_digest(base), "support", 1).to_wire()))
    digest = adapter_digest(folder)
    return ManifestAdapter(name=revision_name("support", 1, digest), domain="support", uri=f"file://{folder}", digest=digest)


async def test_from_the_manifest_to_vllm_and_what_is_said_of_one_that_is_lost(stub: VllmStub, base: Path, tmp_path: Path) -> None:
    support = make_tiny_adapter(tmp_path / "made", base)
    async with engine_on(stub, base) as engine:
        service = AdapterService(engine, 64, ChangeNotifier())
        service.apply(AdapterManifest(adapters=(support,)))
        await until(lambda: support.name in service.loaded())
        assert [name.startswith(support.name) for name in stub.adapters] == [True]
        stub.deaf = 1
        stub.adapters.clear()
        await until(lambda: not service.loaded())
        (report,) = service.report()
        assert (report.state, report.reason) == (AdapterState.FAILED, LoadFault.LOAD_FAILED)
        assert service.settled
        service.apply(AdapterManifest())
        await until(lambda: not service.report())
        assert shared(base) == []


@pytest.mark.parametrize(
    ("path", "status", "want"),
    [
        ("/tokenize", 400, BadRequest),
        ("/tokenize", 500, GenerationFailed),
        ("/v1/completions", 400, BadRequest),
        ("/v1/completions", 500, GenerationFailed),
        ("/v1/completions", 503, Unavailable),
    ],
)
async def test_errors_of_vllm_as_clients_see_them(stub: VllmStub, base: Path, path: str, status: int, want: type[ApiError]) -> None:
    async with engine_on(stub, base) as engine:
        stub.answers[path] = (status, "the reason")
        with pytest.raises(want) as raised:
            await engine.generate(asked("x"))
        assert ("the reason" in str(raised.value)) is (want is BadRequest)
        assert engine.pressure() == Pressure(0, 0)


async def test_a_prompt_without_room_is_refused_and_a_long_answer_is_cut_at_the_context(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        with pytest.raises(PromptTooLong, match="64"):
            await engine.generate(asked("x " * 64))
        assert await text_of(engine, asked("x " * 60, tokens=50)) == "x " * 4


@pytest.mark.parametrize(("how", "want"), [("cut", Unavailable), ("error", GenerationFailed)])
async def test_a_stream_that_breaks_says_so(stub: VllmStub, base: Path, how: str, want: type[ApiError]) -> None:
    async with engine_on(stub, base) as engine:
        stub.broken_stream = how
        pieces = (await engine.generate(asked("one two three"))).pieces()
        assert (await anext(pieces)).text == "one "
        with pytest.raises(want):
            await anext(pieces)
        assert engine.pressure() == Pressure(0, 0)


async def test_cancelling_hangs_up(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        stub.broken_stream = "hang"
        answer = await engine.generate(asked("one two three"))
        async for _ in answer.pieces():
            break
        assert engine.pressure() == Pressure(running=1, waiting=0)
        await until(lambda: stub.streams == 1)
        answer.cancel()
        await until(lambda: stub.streams == 0)
        assert engine.pressure() == Pressure(0, 0)


async def test_a_full_queue_says_try_later(stub: VllmStub, base: Path) -> None:
    async with engine_on(stub, base) as engine:
        stub.broken_stream = "hang"
        answers = [await engine.generate(asked("one two")) for _ in range(16)]
        with pytest.raises(TryLater):
            await engine.generate(asked("one two"))
        answers[0].cancel()
        answers.append(await engine.generate(asked("one two")))
        engine.close()


async def test_it_waits_for_a_vllm_that_comes_later_and_clears_what_an_earlier_life_left(base: Path) -> None:
    stub = VllmStub(str(base), adapters={"old-1": "/elsewhere"})
    (base.parent / "shared" / "old-1").mkdir(parents=True)
    stub.port = free_port()
    async with AsyncExitStack() as stack:
        refused: list[None] = []

        def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            refused.append(None)
            writer.close()

        loading = await asyncio.start_server(refuse, "127.0.0.1", stub.port)
        starting = asyncio.create_task(stack.enter_async_context(connected(settings_for(stub, base))))
        await until(lambda: len(refused) > 1 or starting.done())
        loading.close()
        await loading.wait_closed()
        await stub.start()
        stack.push_async_callback(stub.stop)
        await starting
        assert (stub.adapters, shared(base)) == ({}, [])


async def test_another_server_in_its_place_is_refused(stub: VllmStub, base: Path) -> None:
    stub.answers["/v1/models"] = (404, "nothing here")
    with pytest.raises(BadSettings, match="nothing here"):
        async with connected(settings_for(stub, base)):
            pass


async def test_a_vllm_with_another_base_is_refused(stub: VllmStub, base: Path) -> None:
    stub.root = "/models/other"
    with pytest.raises(BadSettings, match="/models/other"):
        async with connected(settings_for(stub, base)):
            pass
