"""A tiny model with a real tokenizer, and a job on it."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest

from builders_adapters import base_folder
from training.receiver import Receiver, receiving


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of the real SmolLM2-135M-Instruct; converted once per machine."""
    return base_folder()


@pytest.fixture(scope="session")
def tiny_base(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of Llama with random weights, always the same, and SmolLM2's tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)  # so small a model only waits for a second one, the more on a busy machine
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=49152, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=2, tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny") / "tiny-llama"
    LlamaForCausalLM(shape).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        copy(smollm2 / name, folder / name)
    return folder


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
