"""What the training benches share: SmolLM2-135M, chats that people wrote, and one optimizer step on both sides."""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from builders_adapters import base_folder
from trlprocess import Run, TrlProcess
from tuneloop_contracts.jobs import Lora, Training
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.encode import Encoded, encode_rows
from tuneloop_trainer.learn.forward import probe_capabilities, reading
from tuneloop_trainer.learn.lora.adapter import Adapter, fresh
from tuneloop_trainer.learn.lora.installed import installed
from tuneloop_trainer.learn.packs.pack import AdapterTree, Packer
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.together import StepResult, accumulate_gradients, train_together
from tuneloop_trainer.learn.trainee import Unit
from tuneloop_trainer.rows import Message, Row

SUBJECTS = ("science", "history", "literature", "sports", "computers", "food", "psychology", "ai")
SYSTEM = (
    "You are the assistant of a public library. Answer in plain words, briefly, and only what you are asked. "
    "If you do not know something, say so. Never give medical or legal advice, and never repeat personal data of the reader."
)


def pairs() -> list[tuple[str, str]]:
    """Questions and answers that people wrote, from chatterbot-corpus."""
    found = []
    for subject in SUBJECTS:
        corpus = yaml.safe_load((files("chatterbot_corpus") / "data" / "english" / f"{subject}.yml").read_text(encoding="utf-8"))
        found += [(str(talk[0]), " ".join(map(str, talk[1:]))) for talk in corpus["conversations"] if len(talk) > 1]
    return found


def chats(count: int, domain: str = "general", skip: int = 0) -> list[Row]:
    """One question each behind a system prompt; answers of one to six sentences, so that lengths differ as logged ones do."""
    known = pairs()
    rows = []
    for n in range(skip, skip + count):
        answer = " ".join(known[(7 * n + part) % len(known)][1] for part in range(1 + n * n % 6))
        asked: tuple[Message, ...] = ({"role": "system", "content": SYSTEM}, {"role": "user", "content": known[7 * n % len(known)][0]})
        rows.append(Row(f"{domain}-{n}", domain, f"{domain}-c{n}", asked, ({"role": "assistant", "content": answer},)))
    return rows


def load() -> Base:
    placement = choose("Float32")
    tokenizer: Any = AutoTokenizer.from_pretrained(base_folder())
    model: Any = AutoModelForCausalLM.from_pretrained(base_folder(), dtype=placement.dtype).requires_grad_(False).eval()
    return Base("smollm2-135m-instruct", "sha256:0", model, tokenizer, placement, probe_capabilities(model, placement.device))


def encoded(base: Base, rows: Sequence[Row]) -> list[Encoded]:
    kept, dropped = encode_rows(rows, base.tokenizer, 2048)
    assert not dropped
    return kept


def for_trl(rows: Sequence[Encoded], file: Path) -> Path:
    """The same tokens, the same ones supervised."""
    lines = [{"input_ids": row.tokens, "labels": (-100,) * row.answer + row.tokens[row.answer :]} for row in rows]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def begun(base: Base, file: Path) -> Adapter:
    """An adapter whose B is not zero, so that A has gradients too; also as a file."""
    adapter = fresh(base, Lora(), 0)
    drawn = torch.Generator().manual_seed(0)
    tensors = {
        name: tensor.clone() if "lora_A" in name else 0.01 * torch.randn(tensor.shape, generator=drawn)
        for name, tensor in adapter.tensors.items()
    }
    save_file(tensors, file)
    return Adapter(adapter.config, tensors)


def gradients(base: Base, adapters: dict[str, Adapter], rows: dict[str, list[Encoded]]) -> dict[str, dict[str, torch.Tensor]]:
    """Of one step over all rows of each, all in the same passes; by PEFT's names."""
    learning = {name: Adapter(a.config, {k: t.clone().requires_grad_() for k, t in a.tensors.items()}) for name, a in adapters.items()}
    packer = Packer(base.placement.tokens_per_batch, base.placement.device, base.capabilities.forests)
    with installed(base, learning) as active, reading(base.model, base.capabilities):
        for pack in packer.packs([AdapterTree(name, tree) for name in rows for tree in packer.trees(rows[name])]):
            active.assign(pack.parts)
            accumulate_gradients(base, pack, {name: tuple(some) for name, some in rows.items()})
    return {name: {key: t.grad for key, t in a.tensors.items() if t.grad is not None} for name, a in learning.items()}


def difference(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Norm of the difference of all gradients, of the norm of theirs."""
    assert ours.keys() == theirs.keys()
    apart = sum((ours[name] - theirs[name]).double().square().sum() for name in theirs)
    whole = sum(tensor.double().square().sum() for tensor in theirs.values())
    return float((torch.as_tensor(apart) / torch.as_tensor(whole)).sqrt())


def assert_equal_gradients(base: Base, peer: TrlProcess, rows: list[Encoded], folder: Path) -> Run:
    """With TRL's, on the same tokens from the same weights: within the rounding of single precision."""
    adapter = begun(base, folder / "begun.safetensors")
    run = peer.gradients(for_trl(rows, folder / "equal.jsonl"), folder / "trl.safetensors", folder / "begun.safetensors")
    found = difference(gradients(base, {"x": adapter}, {"x": rows})["x"], load_file(folder / "trl.safetensors"))
    print(f"one step on {len(rows)} answers, gradients against TRL's: relative difference {found:.1e}")
    assert found < 1e-4, found
    return run


def own_seconds(base: Base, rows: list[Encoded]) -> float:
    """Of training once over the rows."""
    steps: list[StepResult] = []
    train_together(base, [Unit("x", rows, 0)], Lora(), Training(epochs=1), steps.append)
    return sum(step.seconds for step in steps)
