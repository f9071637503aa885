"""SmolLM2-135M, four random adapters of rank 16 on all its linear layers, and eight questions: what the serving benches compare on."""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from builders_adapters import base_folder

DOMAINS = ("technical", "support", "legal", "general")
QUESTIONS = (
    "How do I undo the last commit in git?",
    "My parcel has not arrived. The tracking page still says that it is on its way. What can I do?",
    "May my landlord keep the deposit?",
    "What should I cook for six friends on a Friday evening?",
    "Explain the difference between a process and a thread.",
    "I was charged twice for one order.",
    "Does a verbal contract bind both sides, and how could one of them prove it later?",
    "Tell me a story about a lighthouse.",
)


def base_model() -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(base_folder(), dtype=torch.float32)
    return model.eval().requires_grad_(False)


def make_adapters(folder: Path) -> dict[str, Path]:
    """As PEFT writes them. B is random too, and small: the answers differ and stay answers."""
    made = {}
    for seed, domain in enumerate(DOMAINS):
        torch.manual_seed(seed)
        with quiet():
            peft: Any = get_peft_model(base_model(), LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
        for name, parameter in peft.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.01)
        made[domain] = folder / domain
        peft.save_pretrained(made[domain], save_embedding_layers=False)
        _name_targets(made[domain] / "adapter_config.json")
    return made


def _name_targets(file: Path) -> None:
    """PEFT writes the folder that the base came from, and what the layers' names have in common; servers want a plain list."""
    written = json.loads(file.read_text())
    written |= {"base_model_name_or_path": None, "target_modules": sorted(written["target_modules"])}
    file.write_text(json.dumps(written))


def with_adapters(model: Any, folders: dict[str, Path]) -> Any:
    """PEFT's model with all of them."""
    with quiet():
        peft: Any = PeftModel.from_pretrained(model, folders[DOMAINS[0]], adapter_name=DOMAINS[0])
        for domain in DOMAINS[1:]:
            peft.load_adapter(folders[domain], adapter_name=domain)
    return peft.eval()


def prompts() -> list[list[int]]:
    """Token ids, by the model's chat template."""
    tokenizer: Any = AutoTokenizer.from_pretrained(base_folder())
    return [
        list(tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True)["input_ids"])
        for question in QUESTIONS
    ]


def padded(rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Left-padded, as generate wants a batch."""
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


def generate(model: Any, rows: Sequence[Sequence[int]], tokens: int, **how: Any) -> list[list[int]]:
    """Greedy, exactly so many tokens a row."""
    made = model.generate(**padded(rows), max_new_tokens=tokens, do_sample=False, eos_token_id=None, pad_token_id=0, **how)
    return [row[-tokens:] for row in made.tolist()]


def config(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Of adapter_config.json, what a server needs; `target_modules` as our trainer writes them, by name."""
    return {"r": 16, "lora_alpha": 32, "target_modules": sorted({name.split(".lora_")[0].rpartition(".")[2] for name in tensors})}


def quiet() -> Any:
    """PEFT 0.21 reads an attribute that transformers 5 renamed."""
    return warnings.catch_warnings(action="ignore", category=FutureWarning)
