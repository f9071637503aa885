"""The engine on the real base: the same tokens as plain transformers and as PEFT alone, whatever happens around them."""

import asyncio
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from builders_adapters import base_folder, digest_of_base, edit_weights, make_adapter
from tuneloop_contracts.adapters import adapter_digest
from tuneloop_server.adapters.preflight import Limits, preflight
from tuneloop_server.engine.base import AdapterWeights, Generation, Message, Sampling
from tuneloop_server.engine.hf import HfEngine
from tuneloop_server.engine.loading import load_base

pytestmark = pytest.mark.model

TOKENS = 8
QUESTIONS = (
    "How do I undo the last commit in git?",
    "My parcel has not arrived. I ordered it two weeks ago, and the tracking page still says that it is on its way. What can I do?",
    "Olá! Como peço o reembolso de uma fatura?",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[HfEngine]:
    engine = HfEngine(load_base(base_folder()), max_batch=8)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ("support", "legal")}
    for seed, (name, folder) in enumerate(folders.items()):
        make_adapter(folder, digest_of_base(), name, seed)
    return folders


@pytest.fixture(scope="module")
def want(made: dict[str, Path]) -> dict[str | None, list[str]]:
    """What transformers and PEFT say, each question alone, each adapter alone."""
    base: Any = AutoModelForCausalLM.from_pretrained(base_folder(), dtype=torch.float32).eval()
    said: dict[str | None, list[str]] = {None: reference(base)}
    for name, folder in made.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            adapted = PeftModel.from_pretrained(base, folder).eval()
        said[name] = reference(adapted)
        base = adapted.unload()
    return said


def reference(model: Any) -> list[str]:
    tokenizer: Any = AutoTokenizer.from_pretrained(base_folder())
    answers = []
    for question in QUESTIONS:
        turns = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        made = model.generate(**prompt, max_new_tokens=TOKENS, do_sample=False)
        answers.append(tokenizer.decode(made[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
    return answers


def asked(question: str, adapter: str | None, tokens: int = TOKENS) -> Generation:
    return Generation((Message("user", question),), Sampling(tokens, temperature=0.0), adapter)


async def text_of(engine: HfEngine, request: Generation) -> str:
    answer = await engine.generate(request)
    return "".join([piece.text async for piece in answer.pieces()])


def checked(folder: Path, engine: HfEngine) -> AdapterWeights:
    return preflight(folder, adapter_digest(folder), Limits(engine.facts, 64))


async def test_base_and_adapters_together_say_what_each_says_alone(
    engine: HfEngine, made: dict[str, Path], want: dict[str | None, list[str]]
) -> None:
    assert await asyncio.gather(*(text_of(engine, asked(question, None)) for question in QUESTIONS)) == want[None]  # no adapter loaded yet
    for name, folder in made.items():
        assert await engine.load(name, checked(folder, engine)) > 0
    requests = [asked(question, name) for name in (None, "support", "legal") for question in QUESTIONS]
    got = await asyncio.gather(*(text_of(engine, request) for request in requests))
    assert got == want[None] + want["support"] + want["legal"]
    for name in made:
        await engine.unload(name)
    assert await text_of(engine, asked(QUESTIONS[0], None)) == want[None][0]
    assert want["support"] != want[None] != want["legal"]


async def test_adapters_come_and_go_while_an_answer_is_being_made(
    engine: HfEngine, made: dict[str, Path], want: dict[str | None, list[str]]
) -> None:
    await engine.load("support", checked(made["support"], engine))
    answer = await engine.generate(asked(QUESTIONS[0], "support"))
    base = await engine.generate(asked(QUESTIONS[1], None))
    text = ""
    async for piece in answer.pieces():
        text += piece.text
        await engine.load("legal", checked(made["legal"], engine))
        await engine.unload("legal")
    assert text == want["support"][0]
    assert "".join([piece.text async for piece in base.pieces()]) == want[None][1]
    await engine.unload("support")


async def test_an_adapter_without_effect_or_with_too_much_shows_in_the_probe(engine: HfEngine, tmp_path: Path) -> None:
    for name, change, fits in (("nothing", 0.0, lambda delta: delta == 0), ("too-much", 1e20, lambda delta: not math.isfinite(delta))):
        make_adapter(tmp_path / name, digest_of_base(), "support", seed=1)
        edit_weights(tmp_path / name, lambda tensors, by=change: {name: tensor * by for name, tensor in tensors.items()})
        assert fits(await engine.load(name, checked(tmp_path / name, engine)))
        await engine.unload(name)


async def test_a_load_that_fails_leaves_nothing_behind(engine: HfEngine, made: dict[str, Path], want: dict[str | None, list[str]]) -> None:
    good = checked(made["support"], engine)
    with pytest.raises(ValueError, match="fit nowhere"):
        await engine.load("half-1", AdapterWeights({**good.config, "target_modules": ["q_proj"]}, good.weights))
    await engine.load("half-1", good)  # the name is free
    assert await text_of(engine, asked(QUESTIONS[0], "half-1")) == want["support"][0]
    await engine.unload("half-1")
