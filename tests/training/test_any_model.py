"""What transformers loads can be trained: small random models of several families, each by the whole job."""

from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import transformers
from peft import PeftModel

from training.lessons import dataset, job, lesson
from tuneloop_contracts.jobs import Gate, Training
from tuneloop_trainer.learn.job import train_job
from tuneloop_trainer.reporting import Reporter

SIZES: dict[str, Any] = {
    "vocab_size": 49152, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "Qwen2": SIZES,
    "Gemma": SIZES | {"head_dim": 8},
    "Phi": SIZES,
    "Mixtral": SIZES | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "GPTNeoX": SIZES,
    # a learned position for each place, and fewer of them than the rows have tokens
    "GPT2": {"vocab_size": 49152, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 80, "bos_token_id": 1, "eos_token_id": 2},
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_a_model_of_this_family_is_trained_and_plain_peft_loads_it(family: str, smollm2: Path, tmp_path: Path) -> None:
    transformers.set_seed(0)
    folder, settings = tmp_path / "base", Training(epochs=4, learning_rate=2e-2, max_sequence_length=2048, tokens_per_step=256)
    head = "GPT2LMHeadModel" if family == "GPT2" else f"{family}ForCausalLM"
    shape = getattr(transformers, f"{family}Config")(**FAMILIES[family])
    getattr(transformers, head)(shape).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        copy(smollm2 / name, folder / name)
    data = dataset(tmp_path / "data", lesson("support", "It is under the stairs, behind the red door that nobody opens. " * 6))
    config = job(folder, tmp_path, data, training=settings, gate=Gate(mode="Report"))  # so small and random a model still loops
    (adapter,) = train_job(config, Reporter()).adapters
    assert float(adapter.loss.candidate) < float(adapter.loss.base)
    loaded = PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(folder), adapter.uri.removeprefix("file://"))
    assert loaded.peft_config
