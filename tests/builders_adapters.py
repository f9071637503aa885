"""Real adapters on the real base, good ones and every kind of bad one: for tests of the trainer, the server and the whole loop."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from tuneloop_contracts.adapters import CARD_FILE, CONFIG_FILE, PROVENANCE_FILE, WEIGHTS_FILE, Provenance, adapter_digest
from tuneloop_contracts.base import base_digest

REPOSITORY = Path(__file__).parent.parent


@cache
def base_folder() -> Path:
    """SmolLM2-135M-Instruct as safetensors; converted on first use."""
    printed = subprocess.run([sys.executable, REPOSITORY / "models/smollm2.py"], check=True, capture_output=True, text=True)
    return Path(printed.stdout.strip())


@cache
def digest_of_base() -> str:
    return base_digest(base_folder())


def make_adapter(folder: Path, base_digest: str, domain: str, seed: int, rank: int = 4, scale: float = 0.05) -> str:
    """Write an adapter with random weights for the real base's attention and MLP; returns its digest.

    `scale`: standard deviation of B; 0.05 changes most answers, 0 changes none.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    config = json.loads((base_folder() / "config.json").read_text())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads = config["num_attention_heads"] * config["head_dim"]
    shapes = {"self_attn.q_proj": (heads, hidden), "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner)}
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        for name, (out, into) in shapes.items():
            stem = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{stem}.lora_A.weight"] = torch.randn(rank, into, generator=generator) / into**0.5
            tensors[f"{stem}.lora_B.weight"] = torch.randn(out, rank, generator=generator) * scale
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS_FILE)
    targets = sorted(name.rpartition(".")[2] for name in shapes)
    lora = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "target_modules": targets, "bias": "none"}
    (folder / CONFIG_FILE).write_text(json.dumps(lora))
    (folder / PROVENANCE_FILE).write_text(json.dumps(provenance(base_digest, domain, rank).to_wire()))
    (folder / CARD_FILE).write_text(f"# {domain}\n\nRandom weights, for tests.\n")
    return adapter_digest(folder)


def provenance(base_digest: str, domain: str, rank: int) -> Provenance:
    return Provenance(
        domain=domain, base_model="smollm2-135m-instruct", base_digest=base_digest, dataset_digest="sha256:" + "0" * 64,
        data_from="2026-01-01T00:00:00Z", data_until="2026-01-31T00:00:00Z", target="chat/chat-llm", fine_tune_job="week-1",
        rank=rank, alpha=2 * rank, examples=50, loss_base="2.41", loss_candidate="1.88",
    )  # fmt: skip


def edit_json(file: Path, **changes: Any) -> None:
    """Set fields of a JSON file; None removes one."""
    value = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: entry for name, entry in value.items() if entry is not None}))


def edit_weights(folder: Path, change: Any) -> None:
    """`change`: tensors by name -> tensors by name."""
    save_file(change(load_file(folder / WEIGHTS_FILE)), folder / WEIGHTS_FILE)
