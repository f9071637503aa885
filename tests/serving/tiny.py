"""Tiny random models, and the engine on them: fast, and hard, since their logits are nearly flat."""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from tuneloop_server.engine.base import AdapterWeights, BaseFacts, Generation, Message, Sampling
from tuneloop_server.engine.hf import HfEngine
from tuneloop_server.engine.loading import LoadedModel, linears
from tuneloop_server.engine.row import Vocabulary

PROMPTS = ["a", "hello there", "the quick brown fox jumps over the lazy dog", "zz", "x" * 100, "another one", "q?", "the end"]

SIZE: dict[str, Any] = {
    "vocab_size": 120, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip


class LetterTokenizer:
    """One token a character; token n is chr(n)."""

    eos_token_id = 1

    def apply_chat_template(self, turns: list[dict[str, str]], **_: Any) -> str:
        return "".join(turn["content"] for turn in turns)

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) % 118 + 2 for letter in text]}


def decode(ids: Any) -> str:
    return "".join(chr(0x4E00 + token) for token in ids if token > 1)


def tiny(kind: str) -> LoadedModel:
    torch.manual_seed(3)
    windowed = MistralConfig(**SIZE, sliding_window=6)
    model: Any = LlamaForCausalLM(LlamaConfig(**SIZE)) if kind == "llama" else MistralForCausalLM(windowed)
    model.eval().requires_grad_(False)
    facts = BaseFacts("sha256:tiny", 256, linears(model), "tiny")
    return LoadedModel(model, LetterTokenizer(), Vocabulary(decode, frozenset({1})), facts)


@asynccontextmanager
async def running(kind: str = "llama", max_batch: int = 4) -> AsyncIterator[HfEngine]:
    engine = HfEngine(tiny(kind), max_batch)
    try:
        yield engine
    finally:
        engine.close()


def asked(text: str, tokens: int = 20, adapter: str | None = None, **sampling: Any) -> Generation:
    return Generation((Message("user", text),), Sampling(tokens, **({"temperature": 0.0} | sampling)), adapter)


async def text_of(engine: HfEngine, request: Generation) -> str:
    answer = await engine.generate(request)
    return "".join([piece.text async for piece in answer.pieces()])


def plain(model: Any, request: Generation) -> str:
    """What transformers' own generate says. `model`: itself, or its kind."""
    model = tiny(model).model if isinstance(model, str) else model
    prompt = torch.tensor([LetterTokenizer()(request.messages[0].content)["input_ids"]])
    made = model.generate(input_ids=prompt, max_new_tokens=request.sampling.max_tokens, do_sample=False)
    return decode(made[0, prompt.shape[1] :].tolist())


@dataclass(frozen=True)
class Adapter:
    """Random, as PEFT makes and writes it."""

    name: str
    rank: int = 4
    targets: tuple[str, ...] = ("q_proj", "v_proj", "up_proj", "down_proj")
    rslora: bool = False
    scale: float = 1.0

    @property
    def lora(self) -> LoraConfig:
        return LoraConfig(r=self.rank, lora_alpha=3 * self.rank, target_modules=list(self.targets), use_rslora=self.rslora)

    def on(self, model: Any) -> Any:
        """PEFT's own model with it; the same numbers for the same name."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT 0.21 reads an attribute that transformers 5 renamed
            peft: Any = get_peft_model(model, self.lora)
        generator = torch.Generator().manual_seed(sum(map(ord, self.name)))
        with torch.no_grad():
            for name, parameter in peft.named_parameters():
                if "lora_" in name:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * self.scale / parameter.shape[1] ** 0.5)
        return peft.eval()

    def weights(self) -> AdapterWeights:
        tensors = get_peft_model_state_dict(self.on(tiny("llama").model))
        config = {"r": self.rank, "lora_alpha": 3 * self.rank, "target_modules": list(self.targets), "use_rslora": self.rslora}
        return AdapterWeights(config, safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}))
