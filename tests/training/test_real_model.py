"""The real SmolLM2-135M learns an answer that it would never give, and plain PEFT loads what was published."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.lessons import dataset, job, lesson
from tuneloop_contracts.jobs import Training
from tuneloop_contracts.progress import Verdict
from tuneloop_trainer.learn.job import train_job
from tuneloop_trainer.reporting import Reporter

pytestmark = [
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),  # plain PEFT's own
]


def test_it_learns_and_plain_peft_loads_it(smollm2: Path, tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", lesson("support", "Ask the parrot upstairs.", train=8))
    settings = Training(epochs=3, learning_rate=3e-3, max_sequence_length=64, tokens_per_step=256)
    (adapter,) = train_job(job(smollm2, tmp_path, data, training=settings), Reporter()).adapters
    assert adapter.verdict is Verdict.PROMOTE
    assert float(adapter.loss.candidate) < 0.5 * float(adapter.loss.base)
    base = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    model = PeftModel.from_pretrained(base, adapter.uri.removeprefix("file://")).eval()
    question = [{"role": "user", "content": "What about the gold box number 8?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        said = model.generate(**prompt, max_new_tokens=8, do_sample=False)
    assert "parrot" in tokenizer.decode(said[0, prompt["input_ids"].shape[1] :])
