"""TRL's SFTTrainer in an environment of its own: the peer of the training benches. `trlprocess` starts it and speaks to it.

One JSON document a line in, one out. Rows are a JSONL file in one of TRL's own formats: `prompt` and `completion` messages, or
`input_ids` and `labels`, which it takes as they are: so both sides see the same tokens.
"""

import json
import os
import re
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset  # type: ignore[import-not-found]
from peft import LoraConfig, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer  # type: ignore[import-not-found]

from trlprocess import Run

MODES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "tuned": {"packing": True, "gradient_checkpointing": False, "per_device_train_batch_size": 1},
}
"""What is set beside `bf16=False`, which both need: on a CPU without its units bfloat16 is tens of times slower. A pack is one row;
several in a batch would share one dense mask, the slower the more there are."""


@dataclass
class StepTimer(TrainerCallback):
    """Seconds between the beginning and the end of each optimizer step; and, where wanted, its gradients before they are used."""

    seconds: list[float] = field(default_factory=list)
    gradients: dict[str, torch.Tensor] = field(default_factory=dict)
    wanted: bool = False
    _began: float = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.perf_counter()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, *, model: torch.nn.Module, **kwargs: Any) -> None:
        if self.wanted:
            self.gradients = {plain(name): value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds.append(time.perf_counter() - self._began)


class TokenCountingTrainer(SFTTrainer):  # type: ignore[misc]
    """Counts what it is given, padding left out."""

    tokens = supervised = 0

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        mask = inputs.get("attention_mask")
        self.tokens += int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
        self.supervised += int((inputs["labels"] != -100).sum())
        return super().compute_loss(model, inputs, *args, **kwargs)


class Peer:
    def __init__(self) -> None:
        self._lora: dict[str, Any] = {}
        self._settings: dict[str, Any] = {}

    def load(self, base: str, mode: str, rank: int = 16, alpha: int = 32, **settings: Any) -> dict[str, Any]:
        """`settings` are SFTConfig's and go before the mode's."""
        began = time.perf_counter()
        self._settings, self._lora = MODES[mode] | settings, {"r": rank, "lora_alpha": alpha}
        self._tokenizer = AutoTokenizer.from_pretrained(base)
        self._base = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        return {"seconds": time.perf_counter() - began, "threads": torch.get_num_threads(), "peak_mb": peak_mb()}

    def train(self, rows: str, steps: int, adapter: str = "") -> dict[str, Any]:
        """That many optimizer steps of a fresh adapter, or of one given as safetensors under PEFT's names."""
        return asdict(self._run(rows, StepTimer(), adapter, max_steps=steps))

    def gradients(self, rows: str, into: str, adapter: str = "") -> dict[str, Any]:
        """Of one step over all rows, before clipping and under PEFT's names: of the mean over their supervised tokens."""
        timer = StepTimer(wanted=True)
        done = self._run(rows, timer, adapter, max_steps=1, gradient_accumulation_steps=10**6, max_grad_norm=0.0, num_train_epochs=1)
        save_file(timer.gradients, into)
        return asdict(done)

    def _run(self, rows: str, timer: StepTimer, adapter: str, **settings: Any) -> Run:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak of memory counts from here
        began = time.perf_counter()
        trainer = self._trainer(rows, timer, **settings)
        if adapter:
            set_peft_model_state_dict(trainer.model, load_file(adapter))
        prepared = time.perf_counter() - began
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        trainer.model.unload()
        return Run(timer.seconds, prepared, trainer.tokens, trainer.supervised, losses[-1], peak_mb())

    def _trainer(self, rows: str, timer: StepTimer, **settings: Any) -> TokenCountingTrainer:
        quiet = {"report_to": [], "save_strategy": "no", "disable_tqdm": True, "logging_steps": 1, "output_dir": tempfile.mkdtemp()}
        dataset = load_dataset("json", data_files=rows, split="train", cache_dir=tempfile.mkdtemp())
        trainer = TokenCountingTrainer(
            model=self._base, args=SFTConfig(bf16=False, use_cpu=True, **quiet, **(self._settings | settings)), train_dataset=dataset,
            processing_class=self._tokenizer, peft_config=LoraConfig(**self._lora, target_modules="all-linear", task_type="CAUSAL_LM"),
            callbacks=[timer],
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        return trainer


def plain(name: str) -> str:
    """As PEFT names it in a file: without the adapter's own name."""
    return re.sub(r"(lora_[AB])\.\w+\.", r"\1.", name)


def peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # TRL prints there
    peer = Peer()
    for line in sys.stdin:
        asked = json.loads(line)
        answer = getattr(peer, asked.pop("do"))(**asked)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
