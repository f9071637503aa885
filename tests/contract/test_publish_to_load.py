"""Trainer -> store -> server: what is published has the files, the digest and the provenance that a loader checks, and loads."""

import json
from pathlib import Path
from typing import cast

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from tuneloop_contracts.adapters import (
    CONFIG_FILE,
    FILES,
    PROVENANCE_FILE,
    WEIGHTS_FILE,
    Provenance,
    adapter_digest,
    folder_name,
)
from tuneloop_contracts.stores import Store
from tuneloop_trainer.learn.base import Base
from tuneloop_trainer.learn.encode import Tokenizer
from tuneloop_trainer.learn.lora.adapter import Adapter
from tuneloop_trainer.learn.precision import choose
from tuneloop_trainer.learn.publish import publish_adapter

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

PROVENANCE = Provenance(
    domain="support", base_model="tiny", base_digest="sha256:1", dataset_digest="sha256:2", data_from="2026-02-01T00:00:00Z",
    data_until="2026-03-01T00:00:00Z", target="chat/chat-llm", fine_tune_job="chat/week-47", rank=4, alpha=8, examples=50,
    loss_base="2.0000", loss_candidate="1.0000",
)  # fmt: skip


def base() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2))


def published(folder: Path) -> tuple[PeftModel, str, str]:
    shape = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    model = get_peft_model(base(), shape)
    adapter = Adapter(shape, get_peft_model_state_dict(model))
    frozen = Base("tiny", "sha256:1", base(), cast(Tokenizer, None), choose("Float32"))
    return model, *publish_adapter(frozen, adapter, PROVENANCE, "# card\n", Store(f"file://{folder}/adapters"))


def test_a_loader_finds_what_it_checks(tmp_path: Path) -> None:
    _, digest, uri = published(tmp_path)
    folder = Path(Store(uri).location)
    assert folder == tmp_path / "adapters" / "support" / folder_name(digest)
    assert {file.name for file in folder.iterdir()} == set(FILES)
    assert adapter_digest(folder) == digest
    assert Provenance.model_validate_json((folder / PROVENANCE_FILE).read_text()) == PROVENANCE
    config = json.loads((folder / CONFIG_FILE).read_text())
    assert (config["peft_type"], config["r"], config["base_model_name_or_path"]) == ("LORA", 4, "tiny")
    assert config["target_modules"] == sorted(config["target_modules"])
    assert load_file(folder / WEIGHTS_FILE)


def test_plain_peft_gives_the_same_logits(tmp_path: Path) -> None:
    model, _, uri = published(tmp_path)
    loaded = PeftModel.from_pretrained(base(), Store(uri).location)
    tokens = torch.arange(8)[None]
    with torch.inference_mode():
        torch.testing.assert_close(loaded.eval()(tokens).logits, model.eval()(tokens).logits)


def test_the_same_contents_twice_change_nothing(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = published(tmp_path)[1:]
    before = {file: file.stat().st_mtime_ns for file in Path(Store(first[1]).location).iterdir()}
    torch.manual_seed(1)
    assert published(tmp_path)[1:] == first
    assert {file: file.stat().st_mtime_ns for file in before} == before
